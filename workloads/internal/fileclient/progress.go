package fileclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

var errStalled = errors.New("nothing moved for " + stallTimeout.String())

// progress ends a request whose bodies do not move.
type progress struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	// source is the error with which reading the request's body failed; net/http
	// may read on in the background after it has returned.
	source atomic.Pointer[error]
}

func watchProgress(ctx context.Context) (context.Context, *progress) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	return ctx, &progress{ctx: ctx, cancel: cancel, timer: timer}
}

func (p *progress) end() {
	p.timer.Stop()
	p.cancel(context.Canceled)
}

// explain says whose fault it is that a request failed: that of our own caller,
// who went away or sent half a body, or that of mime-server.
func (p *progress) explain(err error) error {
	if source := p.source.Load(); source != nil {
		return *source
	}
	if cause := context.Cause(p.ctx); errors.Is(cause, errStalled) {
		err = cause
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// reader watches the request's body. It also hides what kind of reader it is,
// so that net/http has no means to send the body twice.
func (p *progress) reader(r io.Reader) io.Reader { return &movingReader{p, r} }

type movingReader struct {
	progress *progress
	io.Reader
}

func (r *movingReader) Read(b []byte) (int, error) {
	r.progress.timer.Reset(stallTimeout)
	n, err := r.Reader.Read(b)
	if err != nil && err != io.EOF {
		r.progress.source.Store(&err)
	}
	return n, err
}

// body watches the response's body.
func (p *progress) body(b io.ReadCloser) io.ReadCloser { return &movingBody{p, b} }

type movingBody struct {
	progress *progress
	io.ReadCloser
}

func (b *movingBody) Read(p []byte) (int, error) {
	b.progress.timer.Reset(stallTimeout)
	return b.ReadCloser.Read(p)
}

func (b *movingBody) Close() error {
	err := b.ReadCloser.Close()
	b.progress.end()
	return err
}
