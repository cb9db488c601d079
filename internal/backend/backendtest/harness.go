// Package backendtest is the contract that every backend passes. It looks at the result through a second client, the
// World, so that a backend can't pass by what it says of itself.
//
// A backend's own test is one function:
//
//	func TestContract(t *testing.T) {
//		image := buildImage(t) // FROM scratch, guest/cmd as /guest, ENTRYPOINT ["/guest"]
//		backendtest.Run(t, backendtest.Harness{
//			New: func(t backendtest.T) (backend.Backend, backendtest.World) {
//				// A new backend for every case; what it runs on may be shared, owners are never used twice.
//				world := &world{conn: secondConnection(t), socket: countingProxy(t)}
//				b := podman.New(world.socket)
//				t.Cleanup(b.Close)
//				return b, world
//			},
//			Image:        image,
//			MissingImage: "localhost/mockup/missing:1",
//			Can: backendtest.Capabilities{
//				Things:   []string{"PersistentVolumeClaim", "NetworkPolicy", "Secret"},
//				Taken:    []string{"PersistentVolumeClaim", "NetworkPolicy", "Deployment"},
//				Networks: true, Names: true, RollOut: true, Jobs: true, Break: true,
//			},
//			Refused: []backendtest.Refused{{
//				Path:   "spec.template.spec.containers[0].envFrom[0].prefix",
//				Change: func(d *appsv1.Deployment) { … },
//			}},
//			Poll: 200 * time.Millisecond, Timeout: 60 * time.Second,
//		})
//	}
//
// A single case runs with -run 'TestContract/a_pod_that_was_removed', its name with underscores for spaces.
package backendtest

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// T is what a case needs of *testing.T. Fatalf must end the goroutine.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
	Name() string
}

// Harness is all that the suite knows of a backend.
type Harness struct {
	// New makes the backend under test and the second client on its world, for one case.
	New func(t T) (backend.Backend, World)
	// Image runs the guest program, its entrypoint. It is there without a registry.
	Image string
	// MissingImage is not there and can't be had.
	MissingImage string
	// Namespaces are two that exist; "default" and "other" when empty.
	Namespaces [2]string
	Can        Capabilities
	// Refused are requests that this backend must refuse.
	Refused []Refused
	// Poll is the time between two looks; 100 ms when zero.
	Poll time.Duration
	// Timeout bounds how long anything may take to come about; 30 s when zero.
	Timeout time.Duration
	// ApplyLimit bounds a single Apply, since it never waits; 5 s when zero.
	ApplyLimit time.Duration
	// Parallel runs cases side by side; for worlds that bear it and have much to wait for.
	Parallel bool
	// Second is how long a second lasts that a manifest speaks of; time.Second when zero.
	Second time.Duration
	// Pace is the least time between two Applies where the suite drives the backend by its changes; for worlds so fast that
	// nobody would see what they do in between.
	Pace time.Duration
	// Many is the number of owners applied at once in the concurrency case; 4 when zero.
	Many int
}

// Capabilities say what a world can show or do. Cases that need what it can't are skipped with that reason.
type Capabilities struct {
	// Things are the kinds, other than pods, that exist by themselves in this world, so that Things and Find show them.
	Things []string
	// Taken are the kinds of which Plant can put a foreign one in the way.
	Taken []string
	// Edits are the kinds that Edit can change behind the backend's back.
	Edits []string
	// Networks: pods have addresses by network, fixed ones are granted.
	Networks bool
	// Names: World.Resolve works.
	Names bool
	// RollOut: the strategy Recreate and replicas are the backend's work, and not that of a simulated controller.
	RollOut bool
	// Surge: a rolling update never has fewer pods ready than wanted, and that too is the backend's work.
	Surge bool
	// Jobs run.
	Jobs bool
	// JobRules: backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished are the backend's work.
	JobRules bool
	// BackOff: so is holding back a container that ends again and again.
	BackOff bool
	// Init: so are init containers and sidecars.
	Init bool
	// Hooks: so is the end of a pod: preStop, then SIGTERM, then SIGKILL when the grace is over.
	Hooks bool
	// Reload: templates with manifests.AnnotationReload take up changed configuration in place.
	Reload bool
	// Memory: limits of memory are enforced.
	Memory bool
	// Policies: NetworkPolicies are enforced, and World.Connect shows it.
	Policies bool
	// Rebuild: World.Rebuild works.
	Rebuild bool
	// Harms that World.Harm can do.
	Harms []Harm
	// Break: World.Break cuts the connection that changes come by.
	Break bool
}

// Harm is something done to a pod behind the backend's back.
type Harm string

// The harms.
const (
	// HarmInfra ends the process that holds the pod's network namespace.
	HarmInfra Harm = "its infra container was killed"
	// HarmDisconnect takes the pod off one of its networks.
	HarmDisconnect Harm = "it was disconnected from its network"
	// HarmAddress takes its fixed address away.
	HarmAddress Harm = "its fixed address was taken away"
	// HarmPolicies flushes its firewall rules.
	HarmPolicies Harm = "its firewall rules were flushed"
	// HarmStop stops its main container, as a user does by hand.
	HarmStop Harm = "its main container was stopped"
	// HarmRemove removes its main container.
	HarmRemove Harm = "its main container was removed"
	// HarmRename gives its main container another name.
	HarmRename Harm = "its main container was renamed"
	// HarmUpdate changes a limit of its main container.
	HarmUpdate Harm = "a limit of its main container was changed"
	// HarmWipe removes all pods and networks of its owner, as a host does that comes up again; volumes stay.
	HarmWipe Harm = "all pods and networks of its owner were removed"
)

// Refused is a change to a Deployment that this backend does not do as written, and the path under which it must say so.
type Refused struct {
	Path   string
	Change func(d *appsv1.Deployment)
}

// World is the second client. It sees and changes what a backend runs on, and shares no code and no cache with it.
type World interface {
	// Pods that bear the owner's label, whatever state they are in, those on their way out included.
	Pods(ctx context.Context, owner manifests.Owner) ([]Pod, error)
	// Things of the owner, of the kinds in Capabilities.Things, by their label.
	Things(ctx context.Context, owner manifests.Owner) ([]Thing, error)
	// Find looks for the thing of ref, whoever owns it.
	Find(ctx context.Context, namespace string, ref manifests.Ref) (Thing, bool, error)
	// Writes counts what the backend has done since New that may have changed something.
	Writes(ctx context.Context) (int, error)

	// Another makes a second instance of the backend under test on the same world, as after a restart of the operator.
	Another(t T) backend.Backend
	// Provide makes foreign Secrets and ConfigMaps known where a user would have made them; nothing to do where the
	// backend is handed copies.
	Provide(ctx context.Context, objects ...manifests.Object) error
	// Plant puts an object by the name of ref into owner.Namespace, labelled for owner, or for nobody when its Name is
	// empty.
	Plant(ctx context.Context, ref manifests.Ref, owner manifests.Owner) error
	// Edit changes what the backend has made of ref so that it is no more as wanted.
	Edit(ctx context.Context, owner manifests.Owner, ref manifests.Ref) error
	// Kill ends the main process of a pod with SIGKILL.
	Kill(ctx context.Context, pod Pod) error
	// RemovePod removes a pod behind the backend's back.
	RemovePod(ctx context.Context, pod Pod) error
	// Break cuts the connection by which the backend learns of changes; it can connect again at once.
	Break(ctx context.Context) error
	// Harm does harm of a kind in Capabilities.Harms to a pod, and returns what tells whether it is still to be seen.
	Harm(ctx context.Context, pod Pod, harm Harm) (persists func(context.Context) error, err error)
	// Rebuild makes another image under the name of image, with the same program.
	Rebuild(ctx context.Context, image string) error
	// Resolve looks name up as a program in pod would; no address and no error when the name is unknown.
	Resolve(ctx context.Context, pod Pod, name string) ([]string, error)
	// Connect tells whether a program in from can open a TCP connection to a port of another pod of the owner, on a
	// network that both are on.
	Connect(ctx context.Context, from, to Pod, port int) (bool, error)
}

// Pod as the second client sees it.
type Pod struct {
	// Name by which backend.PodRef knows it.
	Name      string
	Namespace string
	// Workload that it belongs to: Deployment/x, DaemonSet/x or Job/x.
	Workload manifests.Ref
	// IDs of the pod and of its containers; they differ after a replacement.
	IDs    []string
	Labels map[string]string
	// Addresses by network name as in the specification; under the empty name where there is only one network.
	Addresses map[string]string
	// Fixed addresses that it bears beside those, by network name.
	Fixed map[string]string
	// Ready: its main container runs and answers its readiness probe, asked by the second client itself.
	Ready bool
	// Terminating: on its way out.
	Terminating bool
}

// Thing is an object, other than a pod, that exists by itself in a world.
type Thing struct {
	Ref manifests.Ref
	// ID differs when the thing has been made anew.
	ID     string
	Labels map[string]string
	// Data of a ConfigMap or Secret; nil where the world doesn't show it.
	Data map[string]string
}

// Case is one clause of the contract.
type Case struct {
	// Name reads as a sentence.
	Name string
	// Without says why the case can't be run in a world with these capabilities; empty when it can.
	Without func(Harness) string
	run     func(e *env)
}

// Run puts a backend to every case of the contract.
func Run(t *testing.T, h Harness) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if c.Without != nil {
				if why := c.Without(h); why != "" {
					t.Skip(why)
				}
			}
			if h.Parallel {
				t.Parallel()
			}
			c.Run(t, h)
		})
	}
}

// Run puts a backend to this one case.
func (c Case) Run(t T, h Harness) {
	t.Helper()
	c.run(newEnv(t, h.withDefaults()))
}

// Cases of the contract, in the order in which a reader understands them best.
func Cases() []Case {
	var all []Case
	for _, chapter := range [][]Case{
		createCases, changeCases, rollOutCases, reloadCases, tellCases, removeCases, ownerCases, lentCases, noneCases, failureCases, crashCases, jobCases, initCases,
		endCases, nameCases, networkCases, policyCases, changesCases, driftCases, podsCases, callCases,
	} {
		all = append(all, chapter...)
	}
	return all
}

func (h Harness) withDefaults() Harness {
	if h.Namespaces == [2]string{} {
		h.Namespaces = [2]string{corev1.NamespaceDefault, "other"}
	}
	if h.Poll == 0 {
		h.Poll = 100 * time.Millisecond
	}
	if h.Timeout == 0 {
		h.Timeout = 30 * time.Second
	}
	if h.ApplyLimit == 0 {
		h.ApplyLimit = 5 * time.Second
	}
	if h.Second == 0 {
		h.Second = time.Second
	}
	if h.Many == 0 {
		h.Many = 4
	}
	return h
}
