package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/load"
	"mockup.dev/mockup/test/stacktest"
)

const (
	// calm before and after what is measured.
	calm = 500 * time.Millisecond
	// tolerance is how many times longer than announced an interruption may be: machines differ.
	tolerance = 3
)

var _ = Describe("What can't be rolled out", func() {
	DescribeTable("is away for as long as the plan said before",
		func(ctx SpecContext, component string, visit load.Kind, edit func(*v1alpha1.MockupStackSpec)) {
			announced := announce(ctx, component, edit)
			run := start(ctx, 3*time.Minute, client, visit)
			time.Sleep(calm)
			begin := run.Elapsed()
			change(ctx, edit)
			settled(ctx)
			took := run.Elapsed() - begin
			time.Sleep(calm)
			said := run.Stop()
			fmt.Printf("%s: announced %.1f s, was away %.2f s (%d of %d requests failed), ready after %.2f s\n",
				component, announced.Seconds(), said.Gap().Seconds(), len(said.Failures()), len(said.Results), took.Seconds())
			Expect(said.Kept()).To(Succeed())
			Expect(said.Gap()).To(BeNumerically("<=", tolerance*announced), "the interruption was longer than announced")
		},
		Entry("the image of the gateway, which holds host ports", "gateway", load.Kind{Name: "GET /", Share: 1, Do: page},
			func(spec *v1alpha1.MockupStackSpec) { spec.Gateway.Image = "localhost/mockup/nginx" + again },
			NodeTimeout(5*time.Minute)),
		Entry("mime-server, which writes to a volume", "mime-server", load.Kind{Name: "GET /files/*", Share: 1,
			Do: func(ctx context.Context, c *http.Client, number int) error {
				name, want := seed(number % seeds)
				return readBack(ctx, c, name, want)
			}},
			func(spec *v1alpha1.MockupStackSpec) {
				s := service(spec, "mime-server")
				s.Env = append(s.Env, v1alpha1.EnvVar{Name: "COLOUR", Value: "green"})
			}, NodeTimeout(5*time.Minute)),
	)
})

// announce asks mockup plan what the edit would do, prints it, and returns the interruption of the component: the only one.
func announce(ctx SpecContext, component string, edit func(*v1alpha1.MockupStackSpec)) time.Duration {
	GinkgoHelper()
	if component == "gateway" {
		_, err := stack.Podman(ctx, "tag", "localhost/mockup/nginx:1.30.6", "localhost/mockup/nginx"+again)
		Expect(err).NotTo(HaveOccurred())
	}
	found, err := stack.Get(ctx)
	Expect(err).NotTo(HaveOccurred())
	edit(&found.Spec)
	found.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "MockupStack"}
	found.ObjectMeta = metav1.ObjectMeta{Namespace: found.Namespace, Name: found.Name}
	found.Status = v1alpha1.MockupStackStatus{}
	text, err := yaml.Marshal(found)
	Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(stack.Dir, component+".yaml")
	Expect(os.WriteFile(file, text, 0o600)).To(Succeed())

	said, err := stack.Mockup(ctx, "plan", "-f", file)
	Expect(err).NotTo(HaveOccurred())
	fmt.Printf("mockup plan -f %s.yaml\n%s\n", component, said)
	return interruption(ctx, file, component)
}

// interruption of the component in the plan of the file.
func interruption(ctx SpecContext, file, component string) time.Duration {
	GinkgoHelper()
	said, err := stack.Mockup(ctx, "plan", "-f", file, "-o", "json")
	Expect(err).NotTo(HaveOccurred())
	var plan struct {
		Stacks []struct {
			Changes []struct {
				Verb, Object, Cause string
				InterruptionSeconds float64
			}
		}
	}
	Expect(json.Unmarshal([]byte(said), &plan)).To(Succeed(), said)
	Expect(plan.Stacks).To(HaveLen(1), said)
	var announced time.Duration
	for _, c := range plan.Stacks[0].Changes {
		if c.InterruptionSeconds == 0 {
			continue
		}
		Expect(c.Verb).To(Equal("replace"), said)
		Expect(strings.HasSuffix(c.Object, stacktest.Name.Name+"-"+component)).To(BeTrue(), "only %s is to be interrupted: %s", component, said)
		Expect(c.Cause).NotTo(BeEmpty(), "an interruption has a cause: %s", said)
		announced = time.Duration(c.InterruptionSeconds * float64(time.Second))
	}
	Expect(announced).To(BeNumerically(">", 0), "the plan names no interruption of %s: %s", component, said)
	return announced
}
