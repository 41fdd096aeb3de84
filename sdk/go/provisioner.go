// Package provisioner is for writing a provisioner for `ss` in Go.
//
// A provisioner speaks operations of its own manifest and never sees a URL, a token or a socket. This package is thin:
// internal/bindings is generated from the contract, what is here makes it idiomatic. net/http does not work in a component.
package provisioner

import (
	"encoding/json"

	"starsystem.example/provisioner/internal/bindings/exports/export_starsystem_provisioner_lifecycle"
	_ "starsystem.example/provisioner/internal/bindings/exports/wit_exports"
	model "starsystem.example/provisioner/internal/bindings/imports/starsystem_provisioner_model"
	wit "starsystem.example/provisioner/internal/wit/types"
)

// Provisioner makes, reads and removes one kind of resource. T is the user's `target` block, A what is kept about the
// resource: facts that Read can see again, never a secret, never what moves by itself.
type Provisioner[T, A any] interface {
	Manifest() Manifest
	// Apply makes the resource as wanted: creates it when recorded is nil, changes it in place otherwise. Applying twice is
	// the same as applying once; recorded may be the checkpoint of a run that died.
	Apply(service Service[T], recorded *Recorded[A]) (Outcome[A], error)
	// Read reads the resource as it is; nil when it no longer exists.
	Read(service Service[T], recorded Recorded[A]) (*Recorded[A], error)
	// Destroy removes the resource. One that is already gone is a success.
	Destroy(recorded Recorded[A]) error
}

// Service is what the user wants. Mark is what proves a resource to be this service's.
type Service[T any] struct {
	ID     string
	Target T
	Inputs map[string]Secret
	Mark   string
}

// Recorded is what is kept about a resource.
type Recorded[A any] struct {
	ID         string
	Attributes A
	URL        string // Where the resource is reached, without a password; "" when nowhere.
	Schema     uint32 // Version of the shape of the attributes; 0 stands for 1.
}

// Outcome is what Apply made: the record, one line for a person, and credentials for other services by name.
type Outcome[A any] struct {
	Made    Recorded[A]
	Summary string
	Outputs map[string]Secret
}

// Export makes a component out of a provisioner: call it in `init` of your package main, whose `main` is empty.
func Export[T, A any](one Provisioner[T, A]) {
	export_starsystem_provisioner_lifecycle.One = exported[T, A]{one}
}

type exported[T, A any] struct{ one Provisioner[T, A] }

func (e exported[T, A]) Manifest() string {
	manifest := e.one.Manifest()
	manifest.Manifest = 1
	document, err := json.Marshal(manifest)
	must(err)
	return string(document)
}

func (e exported[T, A]) Apply(service model.Service, recorded wit.Option[model.ResourceRecord]) wit.Result[model.Outcome, model.Failure] {
	wanted, err := serviceOf[T](service)
	if err != nil {
		return failed[model.Outcome](err)
	}
	var before *Recorded[A]
	if recorded.IsSome() {
		known, err := recordOf[A](recorded.Some())
		if err != nil {
			return failed[model.Outcome](err)
		}
		before = &known
	}
	outcome, err := e.one.Apply(wanted, before)
	if err != nil {
		return failed[model.Outcome](err)
	}
	made := model.Outcome{Made: outcome.Made.raw(), Outputs: named(outcome.Outputs), Summary: outcome.Summary}
	return wit.Ok[model.Outcome, model.Failure](made)
}

func (e exported[T, A]) Read(service model.Service, recorded model.ResourceRecord) wit.Result[wit.Option[model.ResourceRecord], model.Failure] {
	type found = wit.Option[model.ResourceRecord]
	wanted, err := serviceOf[T](service)
	if err != nil {
		return failed[found](err)
	}
	known, err := recordOf[A](recorded)
	if err != nil {
		return failed[found](err)
	}
	seen, err := e.one.Read(wanted, known)
	if err != nil {
		return failed[found](err)
	}
	if seen == nil {
		return wit.Ok[found, model.Failure](wit.None[model.ResourceRecord]())
	}
	return wit.Ok[found, model.Failure](wit.Some(seen.raw()))
}

func (e exported[T, A]) Destroy(recorded model.ResourceRecord) wit.Result[wit.Unit, model.Failure] {
	known, err := recordOf[A](recorded)
	if err == nil {
		err = e.one.Destroy(known)
	}
	if err != nil {
		return failed[wit.Unit](err)
	}
	return wit.Ok[wit.Unit, model.Failure](wit.Unit{})
}

func failed[T any](err error) wit.Result[T, model.Failure] {
	failure := asFailure(err)
	raw := model.Failure{Kind: uint8(failure.Kind), Message: failure.Message}
	if failure.RetryAfterMs > 0 {
		raw.RetryAfterMs = wit.Some(failure.RetryAfterMs)
	}
	if details, err := json.Marshal(failure.Details); err == nil && failure.Details != nil {
		raw.Details = wit.Some(string(details))
	}
	return wit.Err[T](raw)
}

func serviceOf[T any](raw model.Service) (Service[T], error) {
	service := Service[T]{ID: raw.Id, Inputs: map[string]Secret{}, Mark: raw.Mark}
	for _, input := range raw.Inputs {
		service.Inputs[input.Name] = Secret(input.Value)
	}
	if err := json.Unmarshal([]byte(raw.Target), &service.Target); err != nil {
		return service, Fail(Invalid, "the target is not as expected: %s", err)
	}
	return service, nil
}

func recordOf[A any](raw model.ResourceRecord) (Recorded[A], error) {
	recorded := Recorded[A]{ID: raw.Id, URL: raw.Url.SomeOr(""), Schema: raw.Schema}
	if err := json.Unmarshal([]byte(raw.Attributes), &recorded.Attributes); err != nil {
		return recorded, Fail(Broken, "the record is not as expected: %s", err)
	}
	return recorded, nil
}

func (recorded Recorded[A]) raw() model.ResourceRecord {
	attributes, err := json.Marshal(recorded.Attributes)
	must(err)
	raw := model.ResourceRecord{Id: recorded.ID, Attributes: string(attributes), Schema: max(recorded.Schema, 1)}
	if recorded.URL != "" {
		raw.Url = wit.Some(recorded.URL)
	}
	return raw
}
