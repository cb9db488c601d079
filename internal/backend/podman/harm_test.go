package podman_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"mockup.dev/mockup/internal/backend/backendtest"
	"mockup.dev/mockup/manifests"
)

// Harm implements backendtest.World. What it returns looks at the pod that is there then, which may be another.
func (w *world) Harm(ctx context.Context, p backendtest.Pod, harm backendtest.Harm) (func(context.Context) error, error) {
	infra, err := w.infraOf(ctx, p)
	if err != nil {
		return nil, err
	}
	container := "/containers/" + idOf(p.IDs[1])
	switch harm {
	case backendtest.HarmInfra:
		return noHarm, w.kill(ctx, infra)
	case backendtest.HarmDisconnect:
		return noHarm, w.disconnect(ctx, infra)
	case backendtest.HarmAddress:
		return noHarm, w.loseAddress(ctx, infra, p)
	case backendtest.HarmPolicies:
		return w.flush(ctx, infra, p)
	case backendtest.HarmStop:
		return noHarm, w.api.do(ctx, http.MethodPost, container+"/stop", url.Values{"timeout": {"0"}}, nil, nil)
	case backendtest.HarmRemove:
		return noHarm, w.api.do(ctx, http.MethodDelete, container, url.Values{"force": {"true"}}, nil, nil)
	case backendtest.HarmRename:
		return w.hasMain(p), w.api.do(ctx, http.MethodPost, container+"/rename", url.Values{"name": {p.Name + "-by-hand"}}, nil, nil)
	case backendtest.HarmUpdate:
		return w.shrink(ctx, p)
	case backendtest.HarmWipe:
		return noHarm, w.wipe(ctx, p)
	}
	return nil, errors.ErrUnsupported
}

// noHarm can be seen beyond what the contract looks at itself.
func noHarm(context.Context) error { return nil }

// now is the pod that runs for the workload of p.
func (w *world) now(ctx context.Context, p backendtest.Pod) (backendtest.Pod, error) {
	owner, err := manifests.ParseOwner(p.Labels[manifests.LabelOwner])
	if err != nil {
		return backendtest.Pod{}, err
	}
	pods, err := w.Pods(ctx, owner)
	if err != nil {
		return backendtest.Pod{}, err
	}
	for _, other := range pods {
		if other.Workload == p.Workload && len(other.IDs) > 1 {
			return other, nil
		}
	}
	return backendtest.Pod{}, fmt.Errorf("%s has no pod", p.Workload)
}

// infraOf is the ID of a pod's infra container.
func (w *world) infraOf(ctx context.Context, p backendtest.Pod) (string, error) {
	var pod struct{ InfraContainerID string }
	err := w.api.get(ctx, "/pods/"+p.IDs[0]+"/json", nil, &pod)
	return pod.InfraContainerID, err
}

func (w *world) infra(ctx context.Context, p backendtest.Pod) (apiInfra, error) {
	var infra apiInfra
	id, err := w.infraOf(ctx, p)
	if err == nil {
		err = w.api.get(ctx, "/containers/"+id+"/json", nil, &infra)
	}
	return infra, err
}

func (w *world) disconnect(ctx context.Context, infra string) error {
	var data apiInfra
	if err := w.api.get(ctx, "/containers/"+infra+"/json", nil, &data); err != nil {
		return err
	}
	for network := range data.NetworkSettings.Networks {
		err := w.api.post(ctx, "/networks/"+network+"/disconnect", map[string]any{"Container": infra, "Force": true})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) loseAddress(ctx context.Context, infra string, p backendtest.Pod) error {
	var data apiInfra
	if err := w.api.get(ctx, "/containers/"+infra+"/json", nil, &data); err != nil {
		return err
	}
	for _, address := range p.Fixed {
		if _, err := inNetwork(ctx, data.State.Pid, "ip", "address", "delete", address+"/24", "dev", "eth0"); err != nil {
			return err
		}
	}
	if len(p.Fixed) == 0 {
		return fmt.Errorf("pod %s has no fixed address to lose", p.Name)
	}
	return nil
}

func (w *world) flush(ctx context.Context, infra string, p backendtest.Pod) (func(context.Context) error, error) {
	var data apiInfra
	if err := w.api.get(ctx, "/containers/"+infra+"/json", nil, &data); err != nil {
		return nil, err
	}
	list := []string{"nft", "--stateless", "list", "ruleset"}
	before, err := inNetwork(ctx, data.State.Pid, list...)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(before, []byte("drop")) {
		return nil, fmt.Errorf("pod %s has no rules to lose: %s", p.Name, before)
	}
	_, err = inNetwork(ctx, data.State.Pid, "nft", "flush", "ruleset")
	return func(ctx context.Context) error {
		pod, err := w.now(ctx, p)
		if err != nil {
			return err
		}
		infra, err := w.infra(ctx, pod)
		if err != nil {
			return err
		}
		if after, err := inNetwork(ctx, infra.State.Pid, list...); err != nil || !bytes.Equal(after, before) {
			return fmt.Errorf("the rules are %s, and were %s: %w", after, before, err)
		}
		return nil
	}, err
}

// hasMain complains unless the main container bears its name.
func (w *world) hasMain(p backendtest.Pod) func(context.Context) error {
	return func(ctx context.Context) error {
		pod, err := w.now(ctx, p)
		if err != nil {
			return err
		}
		name := pod.Name + "." + pod.Labels[manifests.LabelComponent]
		return w.api.get(ctx, "/containers/"+name+"/json", nil, new(struct{}))
	}
}

// shrink halves the memory limit of the main container.
func (w *world) shrink(ctx context.Context, p backendtest.Pod) (func(context.Context) error, error) {
	limit := func(ctx context.Context, p backendtest.Pod) (int64, error) {
		var data struct{ HostConfig struct{ Memory int64 } }
		err := w.api.get(ctx, "/containers/"+idOf(p.IDs[1])+"/json", nil, &data)
		return data.HostConfig.Memory, err
	}
	before, err := limit(ctx, p)
	if err != nil {
		return nil, err
	}
	err = w.api.post(ctx, "/containers/"+idOf(p.IDs[1])+"/update", map[string]any{"memory": map[string]any{"limit": before / 2}})
	if err != nil {
		return nil, err
	}
	if now, err := limit(ctx, p); err != nil || now != before/2 {
		return nil, fmt.Errorf("the limit is %d after it was to be %d: %w", now, before/2, err)
	}
	return func(ctx context.Context) error {
		pod, err := w.now(ctx, p)
		if err != nil {
			return err
		}
		if now, err := limit(ctx, pod); err != nil || now != before {
			return fmt.Errorf("the limit is %d, and was %d: %w", now, before, err)
		}
		return nil
	}, nil
}

// wipe removes all pods and networks of the owner of p.
func (w *world) wipe(ctx context.Context, p backendtest.Pod) error {
	owner, err := manifests.ParseOwner(p.Labels[manifests.LabelOwner])
	if err != nil {
		return err
	}
	var pods []apiPod
	if err := w.api.get(ctx, "/pods/json", byLabel(owner), &pods); err != nil {
		return err
	}
	for _, pod := range pods {
		if err := w.removePod(ctx, pod.ID); err != nil {
			return err
		}
	}
	var networks []apiNetwork
	if err := w.api.get(ctx, "/networks/json", byLabel(owner), &networks); err != nil {
		return err
	}
	for _, n := range networks {
		if err := w.api.do(ctx, http.MethodDelete, "/networks/"+n.Name, url.Values{"force": {"true"}}, nil, nil); err != nil {
			return err
		}
	}
	return nil
}
