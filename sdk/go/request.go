package provisioner

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"starsystem.example/provisioner/internal/bindings/imports/starsystem_provisioner_api"
	wit "starsystem.example/provisioner/internal/wit/types"
)

// Request is one call of an operation that the manifest declares.
type Request struct {
	call starsystem_provisioner_api.Call
	err  error
}

// NewRequest begins a call of an operation.
func NewRequest(operation string) *Request {
	return &Request{call: starsystem_provisioner_api.Call{Operation: operation}}
}

// Param gives a parameter its value: one of the route's, a query parameter, or a declared request header.
func (request *Request) Param(name string, value any) *Request {
	param := starsystem_provisioner_api.Param{Name: name, Value: fmt.Sprint(value)}
	request.call.Params = append(request.call.Params, param)
	return request
}

// Maybe gives a parameter its value unless it is empty.
func (request *Request) Maybe(name, value string) *Request {
	if value == "" {
		return request
	}
	return request.Param(name, value)
}

// JSON sets the body.
func (request *Request) JSON(body any) *Request {
	bytes, err := json.Marshal(body)
	if err != nil {
		request.err = Fail(Broken, "%s: the body is no JSON: %s", request.call.Operation, err)
	}
	request.call.Body = wit.Some(bytes)
	return request
}

// Fill puts a secret into the body at a JSON pointer.
func (request *Request) Fill(pointer string, secret Secret) *Request {
	fill := starsystem_provisioner_api.Fill{Pointer: pointer, Value: uint32(secret)}
	request.call.Fill = append(request.call.Fill, fill)
	return request
}

// Send sends it and waits for the answer, whatever its status. Without an answer the error is a *CallError.
func (request *Request) Send() (*Reply, error) {
	if request.err != nil {
		return nil, request.err
	}
	answer := starsystem_provisioner_api.Send(request.call)
	if answer.IsErr() {
		failed := answer.Err()
		return nil, &CallError{Reason: Reason(failed.Kind), Message: failed.Message}
	}
	raw := answer.Ok()
	return &Reply{Operation: request.call.Operation, Status: int(raw.Status), Body: raw.Body, raw: raw}, nil
}

// Expect sends it; any other status than these (or than any 2xx) becomes the failure that it means.
// `what` completes "could not …".
func (request *Request) Expect(what string, statuses ...int) (*Reply, error) {
	reply, err := request.Send()
	if err != nil {
		return nil, err
	}
	if slices.Contains(statuses, reply.Status) || len(statuses) == 0 && reply.Status/100 == 2 {
		return reply, nil
	}
	return nil, reply.failure(what)
}

// Reply is the vendor's answer, whatever its status: a 404 is a reply.
type Reply struct {
	Operation string
	Status    int
	Body      []byte
	raw       starsystem_provisioner_api.Reply
}

// Header is a header that the operation declares, or `retry-after`; the name in lower case.
func (reply *Reply) Header(name string) string {
	for _, header := range reply.raw.Headers {
		if header.Name == name {
			return header.Value
		}
	}
	return ""
}

// Secret is the secret that must stand at a JSON pointer.
func (reply *Reply) Secret(pointer string) (Secret, error) {
	for _, captured := range reply.raw.Captured {
		if captured.Name == pointer {
			return Secret(captured.Value), nil
		}
	}
	return 0, Fail(Broken, "%s: the answer has no secret at %s", reply.Operation, pointer)
}

// JSON reads the body, which must be JSON.
func (reply *Reply) JSON(into any) error {
	if err := json.Unmarshal(reply.Body, into); err != nil {
		return Fail(Broken, "%s: the answer is not as expected: %s", reply.Operation, err)
	}
	return nil
}

func (reply *Reply) failure(what string) *Failure {
	failure := Fail(kindOf(reply.Status), "could not %s: the vendor answered %d%s", what, reply.Status, reply.said())
	if seconds, err := strconv.ParseUint(reply.Header("retry-after"), 10, 16); err == nil {
		failure.RetryAfterMs = uint32(seconds) * 1000
	}
	return failure
}

func (reply *Reply) said() string {
	var body struct{ Message, Error any }
	if json.Unmarshal(reply.Body, &body) != nil {
		return ""
	}
	for _, said := range []any{body.Message, body.Error} {
		if text, ok := said.(string); ok && text != "" {
			return ": " + text
		}
	}
	return ""
}

func kindOf(status int) Kind {
	switch {
	case status == 401 || status == 403:
		return Unauthorized
	case status == 400 || status == 422:
		return Invalid
	case status == 402:
		return Declined
	case status == 409:
		return Conflict
	case status == 408 || status == 423 || status == 429 || status >= 500:
		return Unavailable
	default:
		return Broken
	}
}
