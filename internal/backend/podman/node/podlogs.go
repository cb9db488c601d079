package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// logsStay is how long the logs of a pod can be read after it went, by an agent that is behind.
const logsStay = 5 * time.Minute

// podLogs keeps the logs of pods where a kubelet keeps them, as hard links to the files that Podman writes: no copy is
// made, and nothing is lost when a file is full or a container removed. What is rotated while nobody watches is lost but
// for the last of it, so folders are looked through whenever an owner speaks, too.
type podLogs struct {
	log *slog.Logger
	// stay is logsStay but in tests.
	stay time.Duration
	// arrivals is nil when the kernel has none to give: lacking says why.
	arrivals *arrivals
	lacking  error

	mu sync.Mutex
	// kept pods by their folder.
	kept map[string]*keptPod
	// dirs that were asked for.
	dirs map[string]bool
}

// keptPod is a pod whose logs are kept.
type keptPod struct {
	owner, name string
	// containers by the folder that holds their source.
	containers map[string]containerLog
	// problem is what kept its logs from being kept the last time.
	problem string
	// gone is set while nobody speaks of the pod any more; it then removes the folder.
	gone *time.Timer
}

func newPodLogs(log *slog.Logger) *podLogs {
	p := &podLogs{log: log, stay: logsStay, kept: map[string]*keptPod{}, dirs: map[string]bool{}}
	p.arrivals, p.lacking = newArrivals()
	return p
}

// watch follows logs until ctx ends.
func (p *podLogs) watch(ctx context.Context) {
	if p.arrivals == nil {
		return
	}
	if err := p.arrivals.read(ctx, p.came, p.all); err != nil {
		p.log.Error("following logs", "error", err.Error())
	}
}

// keep the logs of an owner's pods, and let go of those of pods that it does not speak of any more. It returns, by pod, why
// logs are not kept.
func (p *podLogs) keep(s State) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := map[string]bool{}
	problems := map[string]string{}
	err := p.open(s.Logs.Dir)
	for _, pod := range s.Logs.Pods {
		folder := filepath.Join(s.Logs.Dir, strings.Join([]string{s.Namespace, pod.Name, pod.ID}, "_"))
		now[folder] = true
		k := p.pod(folder, s.Owner, pod.Name)
		if k.report(p.log, errors.Join(err, p.hold(k, folder, pod))); k.problem != "" {
			problems[pod.Name] = k.problem
		}
	}
	for folder, k := range p.kept {
		if k.owner == s.Owner && !now[folder] {
			p.release(folder, k)
		}
	}
	return problems
}

// leave lets go of all of an owner's pods.
func (p *podLogs) leave(owner string) { p.keep(State{Owner: owner}) }

// open makes the folder, and at first finds out what an agent before this one left there: it goes like a pod that is gone.
func (p *podLogs) open(dir string) error {
	if dir == "" || p.dirs[dir] {
		if _, err := os.Stat(dir); dir == "" || err == nil {
			return nil
		}
	}
	if err := makeOpen(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking for logs of earlier pods: %w", err)
	}
	p.dirs[dir] = true
	for _, e := range entries {
		folder := filepath.Join(dir, e.Name())
		if _, known := p.kept[folder]; !known && e.IsDir() {
			p.release(folder, p.pod(folder, "", ""))
		}
	}
	return nil
}

// pod of a folder, which is somebody's from here on.
func (p *podLogs) pod(folder, owner, name string) *keptPod {
	k := p.kept[folder]
	if k == nil {
		k = &keptPod{containers: map[string]containerLog{}}
		p.kept[folder] = k
	}
	k.owner, k.name = owner, name
	if k.gone != nil {
		k.gone.Stop()
		k.gone = nil
	}
	return k
}

// hold on to the logs of a pod's containers.
func (p *podLogs) hold(k *keptPod, folder string, pod PodLogs) error {
	if err := makeOpen(folder); err != nil {
		return err
	}
	err := p.lacking
	for name, source := range pod.Containers {
		if filepath.Base(name) != name {
			return fmt.Errorf("container %q: that is no name for a folder", name)
		}
		c := containerLog{source: source, folder: filepath.Join(folder, name)}
		maps.DeleteFunc(k.containers, func(_ string, before containerLog) bool { return before.folder == c.folder })
		k.containers[filepath.Dir(source)] = c
		err = errors.Join(err, p.begin(c))
	}
	return err
}

// begin to follow a container's log; from the watch on, nothing is missed.
func (p *podLogs) begin(c containerLog) error {
	home := filepath.Dir(c.source)
	if _, err := os.Stat(filepath.Dir(filepath.Dir(home))); err != nil {
		return fmt.Errorf("the folder of Podman's containers: %w", err)
	}
	if p.arrivals != nil {
		if err := p.arrivals.add(home); err != nil && !errors.Is(err, fs.ErrNotExist) { // else the container is gone
			return err
		}
	}
	return c.follow(time.Now())
}

// release the logs of a pod that is gone, after a while. What it still says until then is followed.
func (p *podLogs) release(folder string, k *keptPod) {
	if k.gone != nil {
		return
	}
	for _, c := range k.containers {
		k.report(p.log, c.follow(time.Now()))
	}
	var timer *time.Timer
	timer = time.AfterFunc(p.stay, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if k.gone == timer && p.kept[folder] == k {
			p.discard(folder, k)
		}
	})
	k.gone = timer
}

// discard the logs of a pod.
func (p *podLogs) discard(folder string, k *keptPod) {
	if p.arrivals != nil {
		for home := range k.containers {
			p.arrivals.remove(home)
		}
	}
	delete(p.kept, folder)
	if err := os.RemoveAll(folder); err != nil {
		p.log.Error("removing the logs of a pod that is gone", "folder", folder, "error", err.Error())
	}
}

// clear away all that is left when there is no owner any more.
func (p *podLogs) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for folder, k := range p.kept {
		if k.gone != nil {
			p.discard(folder, k)
		}
	}
	for dir := range p.dirs {
		_ = os.Remove(dir) // unless somebody else's are in it
	}
}

// came is called for each file that comes into the folder of a source.
func (p *podLogs) came(home, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kept {
		if c, ok := k.containers[home]; ok && filepath.Base(c.source) == name {
			if err := c.follow(time.Now()); err != nil {
				k.report(p.log, err)
			}
		}
	}
}

// all logs are looked at, since some may have been missed.
func (p *podLogs) all() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kept {
		for _, c := range k.containers {
			if err := c.follow(time.Now()); err != nil {
				k.report(p.log, err)
			}
		}
	}
}

// report what keeps a pod's logs from being kept, if it is new.
func (k *keptPod) report(log *slog.Logger, err error) {
	problem := ""
	if err != nil {
		problem = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if problem != "" && problem != k.problem {
		log.Error("the logs of a pod are not kept", "owner", k.owner, "pod", k.name, "error", problem)
	}
	k.problem = problem
}
