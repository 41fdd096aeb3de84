package provisioner

import (
	"time"

	"starsystem.example/provisioner/internal/bindings/imports/starsystem_provisioner_clock"
	"starsystem.example/provisioner/internal/bindings/imports/starsystem_provisioner_model"
	"starsystem.example/provisioner/internal/bindings/imports/starsystem_provisioner_progress"
	"starsystem.example/provisioner/internal/bindings/imports/starsystem_provisioner_secrets"
)

// Secret is a secret that the host keeps: it can be filled into a request or given as an output, and never be read.
type Secret uint32

// Step tells the user of a step that is done: `Record created: r1`.
func Step(message string) { starsystem_provisioner_progress.Step(message) }

// Log writes a line to the log of the deploy.
func Log(message string) { starsystem_provisioner_progress.Log(message) }

// Checkpoint keeps what exists so far: durable when this returns. Call it as soon as an id is known.
func Checkpoint[A any](recorded Recorded[A]) {
	starsystem_provisioner_progress.Checkpoint(recorded.raw())
}

// Now is the time by the host's recorded clock.
func Now() time.Time {
	return time.UnixMilli(int64(starsystem_provisioner_clock.NowMs()))
}

// Wait waits; it costs nothing of the call's processor budget.
func Wait(duration time.Duration) {
	starsystem_provisioner_clock.Wait(uint32(max(duration.Milliseconds(), 0)))
}

// Random gives random bytes, at most 1024, which a replay gives again.
func Random(count uint32) []byte { return starsystem_provisioner_clock.Random(count) }

// Compose makes a new secret out of a template: `{name}` or `{name|url}` stands for a part.
func Compose(template string, parts map[string]Secret) (Secret, error) {
	made := starsystem_provisioner_secrets.Compose(template, named(parts))
	if made.IsErr() {
		return 0, Fail(Broken, "%s", made.Err())
	}
	return Secret(made.Ok()), nil
}

func named(secrets map[string]Secret) []starsystem_provisioner_model.NamedSecret {
	raw := make([]starsystem_provisioner_model.NamedSecret, 0, len(secrets))
	for _, name := range sorted(secrets) {
		raw = append(raw, starsystem_provisioner_model.NamedSecret{Name: name, Value: uint32(secrets[name])})
	}
	return raw
}
