package kubernetes_test

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientset "k8s.io/client-go/kubernetes"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
)

const (
	nodeName     = "node"
	missingImage = "localhost/mockup/missing:1"
)

// kubelet stands in for that of a node: it gives pods the status that their program would have, and serves the API
// server's requests for logs, exec and port-forward, in which the guest program really runs.
type kubelet struct {
	client clientset.Interface
	serial atomic.Int64

	mu sync.Mutex
	// claims hold the files of each namespace/claim.
	claims map[string]map[string][]byte
}

// startKubelet registers a node whose kubelet listens on this machine.
func startKubelet(ctx context.Context, client clientset.Interface) (*kubelet, error) {
	k := &kubelet{client: client, claims: map[string]map[string][]byte{}}
	server := httptest.NewTLSServer(k.handler())
	context.AfterFunc(ctx, server.Close)
	address := server.Listener.Addr().(*net.TCPAddr)
	node, err := client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("registering the node: %w", err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address.IP.String()}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(address.Port)
	if _, err = client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return nil, fmt.Errorf("registering the node's address: %w", err)
	}
	return k, nil
}

// sync takes the status of a pod one step further, if it is on its node.
func (k *kubelet) sync(ctx context.Context, p *corev1.Pod) error {
	if p.Spec.NodeName != nodeName {
		return nil
	}
	pods := k.client.CoreV1().Pods(p.Namespace)
	if p.DeletionTimestamp != nil {
		return pods.Delete(ctx, p.Name, metav1.DeleteOptions{
			GracePeriodSeconds: new(int64(0)), Preconditions: &metav1.Preconditions{UID: &p.UID},
		})
	}
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return nil
	}
	status := p.Status.DeepCopy()
	status.Phase = corev1.PodPending
	c := containerStatus(p)
	c.Name, c.Image, c.Ready = p.Spec.Containers[0].Name, p.Spec.Containers[0].Image, false
	missing, err := k.missing(ctx, p)
	switch {
	case err != nil:
		return err
	case missing:
		c.State = waiting("ContainerCreating", "")
	case c.Image == missingImage:
		c.State = waiting("ImagePullBackOff", "Back-off pulling image")
	default:
		k.start(p, status, &c)
	}
	status.ContainerStatuses = []corev1.ContainerStatus{c}
	ready := corev1.ConditionFalse
	if c.Ready {
		ready = corev1.ConditionTrue
	}
	status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	if same(p.Status, *status) {
		return nil
	}
	p.Status = *status
	_, err = pods.UpdateStatus(ctx, p, metav1.UpdateOptions{})
	return err
}

// start begins the program, and has it ready one step later.
func (k *kubelet) start(p *corev1.Pod, status *corev1.PodStatus, c *corev1.ContainerStatus) {
	fate := guest.Foretell(p.Spec.Containers[0].Args)
	if status.PodIP == "" {
		n := k.serial.Add(1)
		status.PodIP = fmt.Sprintf("10.244.%d.%d", n/250, n%250+2)
		status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	}
	if c.ContainerID == "" {
		c.ContainerID = fmt.Sprintf("simulated://%d", k.serial.Add(1))
	}
	ended := &corev1.ContainerStateTerminated{ExitCode: int32(fate.ExitCode), Reason: "Error", ContainerID: c.ContainerID}
	switch {
	case fate.Exits && p.Spec.RestartPolicy == corev1.RestartPolicyNever:
		c.State = corev1.ContainerState{Terminated: ended}
		status.Phase = corev1.PodSucceeded
		if fate.ExitCode != 0 {
			status.Phase = corev1.PodFailed
		}
	case fate.Exits:
		status.Phase = corev1.PodRunning
		c.State = waiting("CrashLoopBackOff", "back-off restarting failed container")
		c.LastTerminationState = corev1.ContainerState{Terminated: ended}
		c.RestartCount = 1
	default:
		c.Ready = fate.Ready && c.State.Running != nil
		status.Phase = corev1.PodRunning
		c.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	}
}

func containerStatus(p *corev1.Pod) corev1.ContainerStatus {
	if len(p.Status.ContainerStatuses) > 0 {
		return *p.Status.ContainerStatuses[0].DeepCopy()
	}
	return corev1.ContainerStatus{}
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// missing tells whether the pod mounts what is not there.
func (k *kubelet) missing(ctx context.Context, p *corev1.Pod) (bool, error) {
	if p.Status.Phase == corev1.PodRunning {
		return false, nil
	}
	for _, v := range p.Spec.Volumes {
		var err error
		switch {
		case v.ConfigMap != nil:
			_, err = k.client.CoreV1().ConfigMaps(p.Namespace).Get(ctx, v.ConfigMap.Name, metav1.GetOptions{})
		case v.Secret != nil:
			_, err = k.client.CoreV1().Secrets(p.Namespace).Get(ctx, v.Secret.SecretName, metav1.GetOptions{})
		}
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// volume finds the files behind a path of the pod's main container, and the name of the file among them.
func (k *kubelet) volume(ctx context.Context, p *corev1.Pod, path string) (files map[string][]byte, name string, err error) {
	for _, m := range p.Spec.Containers[0].VolumeMounts {
		name, found := strings.CutPrefix(path, m.MountPath+"/")
		if !found {
			continue
		}
		for _, v := range p.Spec.Volumes {
			if v.Name == m.Name {
				files, err := k.files(ctx, p.Namespace, v)
				return files, name, err
			}
		}
	}
	return nil, "", fmt.Errorf("open %s: no such file or directory", path)
}

func (k *kubelet) files(ctx context.Context, namespace string, v corev1.Volume) (map[string][]byte, error) {
	switch {
	case v.ConfigMap != nil:
		c, err := k.client.CoreV1().ConfigMaps(namespace).Get(ctx, v.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		files := map[string][]byte{}
		for name, text := range c.Data {
			files[name] = []byte(text)
		}
		return files, nil
	case v.Secret != nil:
		s, err := k.client.CoreV1().Secrets(namespace).Get(ctx, v.Secret.SecretName, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return s.Data, nil
	}
	key := namespace + "/" + v.PersistentVolumeClaim.ClaimName
	if k.claims[key] == nil {
		k.claims[key] = map[string][]byte{}
	}
	return k.claims[key], nil
}

// process is the guest program in a pod.
func (k *kubelet) process(ctx context.Context, p *corev1.Pod, args []string) guest.Process {
	var env []string
	for _, v := range p.Spec.Containers[0].Env {
		env = append(env, v.Name+"="+v.Value)
	}
	// within runs do with the files behind a path and the name of the file among them.
	within := func(path string, do func(files map[string][]byte, name string) error) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		files, name, err := k.volume(ctx, p, path)
		if err != nil {
			return err
		}
		return do(files, name)
	}
	return guest.Process{
		Args: args, Env: env,
		ReadFile: func(path string) (data []byte, err error) {
			err = within(path, func(files map[string][]byte, name string) error {
				var found bool
				if data, found = files[name]; !found {
					return fmt.Errorf("open %s: no such file or directory", path)
				}
				return nil
			})
			return data, err
		},
		WriteFile: func(path string, data []byte) error {
			return within(path, func(files map[string][]byte, name string) error { files[name] = data; return nil })
		},
		AppendFile: func(path string, data []byte) error {
			return within(path, func(files map[string][]byte, name string) error {
				files[name] = append(slices.Clone(files[name]), data...)
				return nil
			})
		},
		RemoveFile: func(path string) error {
			return within(path, func(files map[string][]byte, name string) error { delete(files, name); return nil })
		},
	}
}

// kill ends the program of a pod, which is started again.
func (k *kubelet) kill(ctx context.Context, p *corev1.Pod) error {
	c := containerStatus(p)
	c.RestartCount++
	c.ContainerID = "simulated://" + strconv.FormatInt(k.serial.Add(1), 10)
	c.Ready, c.State = false, waiting("CrashLoopBackOff", "restarting")
	p.Status.ContainerStatuses = []corev1.ContainerStatus{c}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
	_, err := k.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{})
	return err
}
