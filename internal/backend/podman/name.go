package podman

import (
	"context"
	"time"
)

// nameSettle is the time that Podman's name server is given to take up a change before the next one is made. It is told of
// a change by a signal, reads all its records anew, and misses a signal that comes meanwhile: until the next it would then
// answer from old records. It can't be asked whether it has: a name that it does not know yet it looks for at the host's
// own name server, and where that does not answer, it keeps everyone waiting for seconds.
const nameSettle = 50 * time.Millisecond

// name gives a pod that lost a network, or a name there, both back. Podman sets aliases only when a container joins a
// network, so it leaves and joins again under the same address and MAC: open connections live on.
func (b *Backend) name(ctx context.Context, s step) error {
	b.naming.Lock()
	defer b.naming.Unlock()
	defer b.forgetEndpoints(s.pod.infra.id)
	now, err := b.engine.endpoints(ctx, s.pod.infra.id)
	if err != nil {
		return err
	}
	for _, want := range s.want.attachments {
		e, on := now[want.network]
		if on && e.bears(s.want.aliases) {
			continue
		}
		if !on {
			e = endpoint{addr: want.addr, mac: want.mac}
		}
		if err := b.engine.disconnect(ctx, want.network, s.pod.infra.id); err != nil {
			return err
		}
		e.aliases = s.want.aliases
		if err := b.engine.connect(ctx, want.network, s.pod.infra.id, e); err != nil {
			return err
		}
		time.Sleep(nameSettle)
	}
	return nil
}
