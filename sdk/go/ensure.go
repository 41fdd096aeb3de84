package provisioner

import (
	"errors"
	"time"
)

const (
	createAttempts = 3
	pagesMax       = 1_000
)

// Waits before each look after a lost answer: vendors' lists lag behind.
var looks = []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

// Ensure makes something exactly once, and gives it.
//
// It looks first, because an earlier run may have made it and died. Then it creates. When the answer is lost or cannot be
// read, or the vendor says that it exists already, it looks several times over some seconds; only what is surely absent is
// created again. `find` must recognise its own by the mark, never by name alone.
func Ensure[T any](find func() (found T, ok bool, err error), create func() (T, error)) (T, error) {
	found, ok, err := find()
	if ok || err != nil {
		return found, err
	}
	var last error
	for range createAttempts {
		created, err := create()
		if err == nil {
			return created, nil
		}
		last = err
		failure := asFailure(err)
		open := failure.Kind == Broken || isLost(err)
		if !open && failure.Kind != Conflict {
			break
		}
		Log(failure.Message + "; looking whether it exists")
		for _, pause := range looks {
			Wait(pause)
			if found, ok, err := find(); ok || err != nil {
				return found, err
			}
		}
		if !open {
			break
		}
	}
	return found, last
}

func isLost(err error) bool {
	var call *CallError
	return errors.As(err, &call) && (call.Reason == OutcomeUnknown || call.Reason == TooLarge)
}

// Poll asks until there is an answer or patience is over (not ok). It asks at least once, and once more at the end.
func Poll[T any](patience, interval time.Duration, ask func() (answer T, ok bool, err error)) (T, bool, error) {
	deadline := Now().Add(patience)
	for {
		now := Now()
		answer, ok, err := ask()
		if ok || err != nil || !now.Before(deadline) {
			return answer, ok, err
		}
		Wait(min(interval, deadline.Sub(now)))
	}
}

// Pages reads all pages. `page` gets the cursor of the page to read, "" for the first, and gives its items and the next
// cursor; one that is empty or does not move is the end.
func Pages[T any](page func(cursor string) (items []T, next string, err error)) ([]T, error) {
	var all []T
	cursor := ""
	for range pagesMax {
		items, next, err := page(cursor)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if next == "" || next == cursor {
			return all, nil
		}
		cursor = next
	}
	return nil, Fail(Broken, "the list has no end: gave up after %d pages", pagesMax)
}
