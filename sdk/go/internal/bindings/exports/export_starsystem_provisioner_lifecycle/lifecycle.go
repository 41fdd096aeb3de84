// Package export_starsystem_provisioner_lifecycle is what the generated exports call: whatever the SDK put here.
package export_starsystem_provisioner_lifecycle

import (
	model "starsystem.example/provisioner/internal/bindings/imports/starsystem_provisioner_model"
	wit "starsystem.example/provisioner/internal/wit/types"
)

// Lifecycle is the contract's exported interface.
type Lifecycle interface {
	Manifest() string
	Apply(service model.Service, recorded wit.Option[model.ResourceRecord]) wit.Result[model.Outcome, model.Failure]
	Read(service model.Service, recorded model.ResourceRecord) wit.Result[wit.Option[model.ResourceRecord], model.Failure]
	Destroy(recorded model.ResourceRecord) wit.Result[wit.Unit, model.Failure]
}

// One is the author's provisioner.
var One Lifecycle

func Manifest() string { return One.Manifest() }

func Apply(service model.Service, recorded wit.Option[model.ResourceRecord]) wit.Result[model.Outcome, model.Failure] {
	return One.Apply(service, recorded)
}

func Read(service model.Service, recorded model.ResourceRecord) wit.Result[wit.Option[model.ResourceRecord], model.Failure] {
	return One.Read(service, recorded)
}

func Destroy(recorded model.ResourceRecord) wit.Result[wit.Unit, model.Failure] {
	return One.Destroy(recorded)
}
