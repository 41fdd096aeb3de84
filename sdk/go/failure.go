package provisioner

import (
	"errors"
	"fmt"
)

// Kind says whose turn it is after a failure.
type Kind uint8

const (
	// Invalid: the user's configuration cannot work; they must change it.
	Invalid Kind = iota
	// Unauthorized: the credential is missing, wrong, expired or lacks a right.
	Unauthorized
	// Declined: the vendor refuses (a quota, a plan, a policy).
	Declined
	// Conflict: it exists already, or changed meanwhile.
	Conflict
	// Unavailable: the same call may work later.
	Unavailable
	// Broken: the resource or the answer is not as it should be.
	Broken
)

// Failure ends a call. The message says in one or two sentences what happened and what to do.
type Failure struct {
	Kind         Kind
	Message      string
	RetryAfterMs uint32 // When the same call may be tried again; 0: not said.
	Details      any    // Anything a program may want to know, an object; nil: nothing.
}

func (failure *Failure) Error() string { return failure.Message }

// Fail makes a failure.
func Fail(kind Kind, format string, values ...any) *Failure {
	return &Failure{Kind: kind, Message: fmt.Sprintf(format, values...)}
}

// Reason says why there is no reply.
type Reason uint8

const (
	// Denied: the host refused; nothing was sent.
	Denied Reason = iota
	// TimedOut: no answer in time, and repeating is safe.
	TimedOut
	// Unreachable: the vendor cannot be reached; nothing was done.
	Unreachable
	// TooLarge: the reply is larger than the host allows.
	TooLarge
	// OutcomeUnknown: the request was sent and its answer is lost: it may or may not have taken effect.
	OutcomeUnknown
)

// CallError says why there is no reply. Given back as it is, it ends the call as it should.
type CallError struct {
	Reason  Reason
	Message string
}

func (failed *CallError) Error() string { return failed.Message }

// asFailure is what an error means for the user; one of no known kind is the provisioner's own trouble.
func asFailure(err error) *Failure {
	var failure *Failure
	var call *CallError
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &call) && call.Reason == Denied:
		return Fail(Declined, "%s", err)
	case errors.As(err, &call) && call.Reason == TooLarge:
		return Fail(Broken, "%s", err)
	case call != nil:
		return Fail(Unavailable, "%s", err)
	default:
		return Fail(Broken, "%s", err)
	}
}
