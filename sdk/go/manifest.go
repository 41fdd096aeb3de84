package provisioner

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
)

// Manifest is what a provisioner says of itself; docs/manifest.md has every field.
type Manifest struct {
	Manifest    int          `json:"manifest"` // The version of this format; set by Export.
	Name        string       `json:"name"`
	Version     string       `json:"version"`
	Description string       `json:"description"`
	Targets     []Target     `json:"targets"`
	Credentials []Credential `json:"credentials,omitempty"`
	Connections []Connection `json:"connections,omitempty"`
}

// Target is what can stand below `target:`.
type Target struct {
	Type        string   `json:"type"`
	Description string   `json:"description"`
	Creates     string   `json:"creates"`
	Data        bool     `json:"data,omitempty"`
	Outputs     []Output `json:"outputs,omitempty"`
	Schema      Schema   `json:"schema"`
}

// Output is a credential that the resource gives to other services.
type Output struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Credential is a provider credential. Verify names a GET operation that succeeds exactly when it is good.
type Credential struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Verify      string `json:"verify,omitempty"`
}

// Connection is an API: its address, the credential that goes with each request, and what can be asked of it.
type Connection struct {
	Name       string      `json:"name"`
	BaseURL    string      `json:"base_url"`
	Auth       *Auth       `json:"auth,omitempty"`
	Operations []Operation `json:"operations"`
}

// Auth names the credential that goes with each request.
type Auth struct {
	Bearer string `json:"bearer"`
}

// Operation is what can be asked of an API.
type Operation struct {
	Name       string            `json:"name"`
	Route      string            `json:"route"`
	Query      []string          `json:"query,omitempty"`
	In         []string          `json:"in,omitempty"`
	Owns       map[string]string `json:"owns,omitempty"`
	Adopts     []Adopts          `json:"adopts,omitempty"`
	Secrets    []string          `json:"secrets,omitempty"`
	Fills      []string          `json:"fills,omitempty"`
	Headers    []string          `json:"headers,omitempty"`
	Destroys   bool              `json:"destroys,omitempty"`
	Repeatable bool              `json:"repeatable,omitempty"`
}

// Adopts says where an answer shows an id beside the service's mark.
type Adopts struct {
	Param string `json:"param"`
	ID    string `json:"id,omitempty"`
	Mark  string `json:"mark"`
}

// Schema is a JSON Schema.
type Schema map[string]any

var schemaTypes = map[reflect.Kind]string{
	reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number",
	reflect.Int: "integer", reflect.Int32: "integer", reflect.Int64: "integer",
}

// SchemaOf is the JSON Schema of a struct. Its fields' tags: `json:"ttl"` names it, `doc:"…"` describes it, `immutable:"true"`
// means that a change makes a new resource, `default:"300"` makes it optional, `schema:"{…}"` adds more of JSON Schema.
func SchemaOf[T any]() Schema {
	properties, required := Schema{}, []string{}
	of := reflect.TypeFor[T]()
	for index := range of.NumField() {
		field := of.Field(index)
		name := field.Tag.Get("json")
		property := Schema{"type": schemaTypes[field.Type.Kind()], "description": field.Tag.Get("doc")}
		if field.Tag.Get("immutable") == "true" {
			property["x-immutable"] = true
		}
		if more, ok := field.Tag.Lookup("schema"); ok {
			must(json.Unmarshal([]byte(more), &property))
		}
		if text, ok := field.Tag.Lookup("default"); ok {
			property["default"] = defaultOf(field.Type.Kind(), text)
		} else {
			required = append(required, name)
		}
		properties[name] = property
	}
	return Schema{"type": "object", "additionalProperties": false, "properties": properties, "required": required}
}

func defaultOf(kind reflect.Kind, text string) any {
	if kind == reflect.String {
		return text
	}
	var value any
	must(json.Unmarshal([]byte(text), &value))
	return value
}

// A tag that is no JSON is a typo in the program, and shows when the component is first asked for its manifest.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func sorted[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }
