package controllers

import (
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"mockup.dev/mockup/manifests"
)

// backendError is a backend that could not be asked or told.
type backendError struct{ error }

func (e *backendError) Unwrap() error { return e.error }

// retryable keeps errors that only a change of the specification or of what it refers to can mend out of the back-off:
// that change re-enters by itself.
func retryable(err error) error {
	var invalid *manifests.InvalidError
	var missing *manifests.MissingError
	var taken *nameTakenError
	var gone *stackNotFoundError
	var shared *sharedRepositoryError
	if errors.As(err, &invalid) || errors.As(err, &missing) || errors.As(err, &taken) || errors.As(err, &gone) || errors.As(err, &shared) {
		return reconcile.TerminalError(err)
	}
	return err
}

// nameTakenError says that another owner of the namespace holds a name.
type nameTakenError struct{ field, name, holder string }

func (e *nameTakenError) Error() string {
	return fmt.Sprintf("%s: the name %q is taken in this namespace by MockupStack %s: a Service name leads to one stack only", e.field, e.name, e.holder)
}

// sharedRepositoryError says that another policy, which was there before, would remove what this one stores, or the other way
// round.
type sharedRepositoryError struct{ field, other, how string }

func (e *sharedRepositoryError) Error() string {
	return fmt.Sprintf("%s: policy %s, which is older, %s: each would remove what the other one keeps; give this one a place of its own", e.field, e.other, e.how)
}

// stackNotFoundError says that there is no stack of the name that spec.stackRef has, or not for long.
type stackNotFoundError struct {
	name     string
	deleting bool
	// backups tells whether it is missed by a policy, else by an addon.
	backups bool
}

func (e *stackNotFoundError) Error() string {
	if e.deleting && e.backups {
		return fmt.Sprintf("spec.stackRef.name: MockupStack %s is being deleted: nothing is backed up any more, what has been stays", e.name)
	}
	if e.deleting {
		return fmt.Sprintf("spec.stackRef.name: MockupStack %s is being deleted: what watched it has been stopped, its data stays", e.name)
	}
	return fmt.Sprintf("spec.stackRef.name: there is no MockupStack %s in this namespace", e.name)
}

// stackIsGone tells whether an error is that there is no stack to watch, so that nothing watches it any more.
func stackIsGone(err error) bool {
	var gone *stackNotFoundError
	return errors.As(err, &gone)
}
