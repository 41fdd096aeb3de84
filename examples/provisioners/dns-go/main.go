// A record at Zonely, an imaginary DNS host.
package main

import "starsystem.example/provisioner"

const (
	records = "/zones/{zone}/records"
	record  = "/zones/{zone}/records/{record}"
)

type Target struct {
	Zone    string `json:"zone" doc:"The zone that the record is in: example.org." immutable:"true"`
	Name    string `json:"name" doc:"The record's name within the zone: www."`
	Content string `json:"content" doc:"The address it leads to."`
	TTL     int    `json:"ttl" doc:"How many seconds an answer may be kept." default:"300" schema:"{\"minimum\": 60}"`
}

// Attributes are what is kept of a record.
type Attributes struct {
	Zone    string `json:"zone"`
	Name    string `json:"name,omitempty"`
	Content string `json:"content,omitempty"`
	TTL     int    `json:"ttl,omitempty"`
}

// Found is a record as Zonely shows it.
type Found struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int    `json:"ttl"`
	Comment string `json:"comment"`
}

type (
	service  = provisioner.Service[Target]
	recorded = provisioner.Recorded[Attributes]
	outcome  = provisioner.Outcome[Attributes]
)

type DNS struct{}

func (DNS) Manifest() provisioner.Manifest {
	token := []string{"/update_token"}
	return provisioner.Manifest{
		Name: "dns-go", Version: "0.1.0",
		Description: "Records at Zonely, an imaginary DNS host; written in Go.",
		Targets: []provisioner.Target{{
			Type: "dns-go", Description: "One DNS record.", Creates: "record {name} in {zone}",
			Outputs: []provisioner.Output{{Name: "DNS_UPDATE_TOKEN", Description: "With it a machine may update the record by itself."}},
			Schema:  provisioner.SchemaOf[Target](),
		}},
		Credentials: []provisioner.Credential{{
			Name: "dns-go.api_token", Description: "A Zonely token, from its settings page.", Verify: "whoAmI",
		}},
		Connections: []provisioner.Connection{{
			Name: "dns-go-api", BaseURL: "https://api.zonely.example/v1", Auth: &provisioner.Auth{Bearer: "dns-go.api_token"},
			Operations: []provisioner.Operation{
				{Name: "whoAmI", Route: "GET /me"},
				{Name: "listRecords", Route: "GET " + records, Query: []string{"cursor"},
					Adopts: []provisioner.Adopts{{Param: "record", ID: "/records/*/id", Mark: "/records/*/comment"}}},
				{Name: "getRecord", Route: "GET " + record, Secrets: token,
					Adopts: []provisioner.Adopts{{Param: "record", Mark: "/comment"}}},
				{Name: "createRecord", Route: "POST " + records, In: []string{"create"}, Secrets: token,
					Owns: map[string]string{"record": "/id"}},
				{Name: "updateRecord", Route: "PATCH " + record, In: []string{"create", "update"}, Secrets: token, Repeatable: true},
				{Name: "deleteRecord", Route: "DELETE " + record, In: []string{"destroy"}, Destroys: true, Repeatable: true},
			},
		}},
	}
}

func (DNS) Apply(service service, known *recorded) (outcome, error) {
	zone := service.Target.Zone
	if known == nil {
		id, err := provisioner.Ensure(
			func() (string, bool, error) { return find(zone, service.Mark) },
			func() (string, error) { return create(service) },
		)
		if err != nil {
			return outcome{}, err
		}
		known = &recorded{ID: id, Attributes: Attributes{Zone: zone}}
		provisioner.Checkpoint(*known)
	}
	if found, err := get(zone, known.ID); err != nil {
		return outcome{}, err
	} else if found == nil {
		return outcome{}, provisioner.Fail(provisioner.Conflict,
			"record %s was deleted meanwhile; `ss deploy --refresh` makes it again", known.ID)
	}
	request := provisioner.NewRequest("updateRecord").Param("zone", zone).Param("record", known.ID)
	reply, err := request.JSON(wanted(service)).Expect("update the record")
	if err != nil {
		return outcome{}, err
	}
	var found Found
	if err := reply.JSON(&found); err != nil {
		return outcome{}, err
	}
	token, err := reply.Secret("/update_token")
	outputs := map[string]provisioner.Secret{"DNS_UPDATE_TOKEN": token}
	return outcome{Made: found.record(zone), Summary: "record ready", Outputs: outputs}, err
}

func (DNS) Read(_ service, known recorded) (*recorded, error) {
	found, err := get(known.Attributes.Zone, known.ID)
	if found == nil {
		return nil, err
	}
	made := found.record(known.Attributes.Zone)
	return &made, err
}

func (DNS) Destroy(known recorded) error {
	request := provisioner.NewRequest("deleteRecord").Param("zone", known.Attributes.Zone).Param("record", known.ID)
	_, err := request.Expect("delete the record", 204, 404)
	return err
}

func wanted(service service) map[string]any {
	target := service.Target
	return map[string]any{"name": target.Name, "content": target.Content, "ttl": target.TTL, "comment": service.Mark}
}

func find(zone, mark string) (string, bool, error) {
	all, err := provisioner.Pages(func(cursor string) ([]Found, string, error) {
		reply, err := provisioner.NewRequest("listRecords").Param("zone", zone).Maybe("cursor", cursor).Expect("list the records")
		if err != nil {
			return nil, "", err
		}
		var page struct {
			Records []Found
			Next    string
		}
		err = reply.JSON(&page)
		return page.Records, page.Next, err
	})
	for _, found := range all {
		if found.Comment == mark {
			return found.ID, true, err
		}
	}
	return "", false, err
}

func create(service service) (string, error) {
	request := provisioner.NewRequest("createRecord").Param("zone", service.Target.Zone)
	reply, err := request.JSON(wanted(service)).Expect("create the record")
	if err != nil {
		return "", err
	}
	var created Found
	if err := reply.JSON(&created); err != nil {
		return "", err
	}
	provisioner.Step("Record created: " + created.ID)
	return created.ID, nil
}

// get gives nil when there is no such record.
func get(zone, id string) (*Found, error) {
	reply, err := provisioner.NewRequest("getRecord").Param("zone", zone).Param("record", id).Expect("read the record", 200, 404)
	if err != nil || reply.Status == 404 {
		return nil, err
	}
	var found Found
	return &found, reply.JSON(&found)
}

func (found Found) record(zone string) recorded {
	return recorded{ID: found.ID, Attributes: Attributes{Zone: zone, Name: found.Name, Content: found.Content, TTL: found.TTL}}
}

func init() { provisioner.Export(DNS{}) }

func main() {}
