package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/progress"
	"mockup.dev/mockup/manifests"
)

// authority is the certificate authority, PEM, that the operator made for a stack; nil if it made none.
func authority(ctx context.Context, c client.Reader, s *v1alpha1.MockupStack) ([]byte, error) {
	if s.Spec.Gateway == nil || s.Spec.Gateway.TLS.SelfSigned == nil {
		return nil, nil
	}
	var secret corev1.Secret
	key := types.NamespacedName{Namespace: s.Namespace, Name: manifests.GatewayTLSName(s.Name)}
	if err := c.Get(ctx, key, &secret); err != nil {
		return nil, fmt.Errorf("reading the certificate authority of stack %s: %w", keyOf(s), err)
	}
	return secret.Data[manifests.KeyCA], nil
}

// authorities of the stacks among found, one after the other.
func authorities(ctx context.Context, c client.Reader, found []*subject) ([]byte, error) {
	var all []byte
	for _, s := range ofKind(found, stackKind) {
		ca, err := authority(ctx, c, s.Object.(*v1alpha1.MockupStack))
		if err != nil {
			return nil, err
		}
		all = append(all, ca...)
	}
	return all, nil
}

// writeCA leaves the authorities of the stacks in one file for curl.
func (u *up) writeCA(ctx context.Context) error {
	all, err := authorities(ctx, u.api, u.ready)
	if err != nil || len(all) == 0 {
		return err
	}
	u.ca = true
	if err := os.WriteFile(u.state.CA(), all, 0o644); err != nil {
		return fmt.Errorf("writing the certificate authority: %w", err)
	}
	return nil
}

// upReport is what up prints with -o json.
type upReport struct {
	Kubeconfig string          `json:"kubeconfig"`
	CA         string          `json:"ca,omitempty"`
	Stacks     []stackURL      `json:"stacks"`
	Addons     []addonURLs     `json:"addons,omitempty"`
	Steps      []progress.Done `json:"steps"`
}

type stackURL struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	URL       string `json:"url,omitempty"`
}

// addonURLs are where the programs of an addon are reached from this host.
type addonURLs struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Stack     string       `json:"stack"`
	Programs  []programURL `json:"programs"`
	// AdminSecret has the password of Grafana's user admin, under the key password; empty where there is no Grafana.
	AdminSecret string `json:"adminSecret,omitempty"`
}

type programURL struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

func urlsOf(a *v1alpha1.ObservabilityAddon) addonURLs {
	urls := addonURLs{Namespace: a.Namespace, Name: a.Name, Stack: a.Spec.StackRef.Name, Programs: []programURL{}}
	for _, c := range a.Status.Components {
		if fromHost(c.Endpoint) {
			urls.Programs = append(urls.Programs, programURL{c.Name, c.Endpoint})
		}
	}
	if slices.Contains(manifests.ObservabilityComponents(a), manifests.ComponentGrafana) {
		urls.AdminSecret = cmp.Or(a.Spec.Dashboards.AdminSecretName, manifests.GrafanaAdminName(a.Name))
	}
	return urls
}

// fromHost tells whether an endpoint is one of this host, not one inside of the stack.
func fromHost(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()) != nil)
}

func (u *up) report(w io.Writer, form string) error {
	r := upReport{Kubeconfig: u.kubeconfig(), Stacks: []stackURL{}, Steps: u.list.Done()}
	if u.ca {
		r.CA = u.state.CA()
	}
	for _, s := range u.ready {
		switch o := s.Object.(type) {
		case *v1alpha1.MockupStack:
			r.Stacks = append(r.Stacks, stackURL{o.Namespace, o.Name, o.Status.URL})
		case *v1alpha1.ObservabilityAddon:
			r.Addons = append(r.Addons, urlsOf(o))
		}
	}
	if form == formJSON {
		return printJSON(w, r)
	}
	return r.print(w, programName())
}

// print says where stacks and addons are and what to try next.
func (r upReport) print(w io.Writer, program string) error {
	var b bytes.Buffer
	b.WriteString("\n")
	for _, s := range r.Stacks {
		fmt.Fprintf(&b, "%s  %s\n", s.Namespace+"/"+s.Name, s.URL)
	}
	for _, a := range r.Addons {
		a.print(&b)
	}
	b.WriteString("\nNext:\n")
	for _, s := range r.Stacks {
		if s.URL == "" {
			continue
		}
		if r.CA != "" {
			fmt.Fprintf(&b, "  curl --cacert %s %s\n", r.CA, s.URL)
		} else {
			fmt.Fprintf(&b, "  curl %s\n", s.URL)
		}
		break
	}
	kubectl := fmt.Sprintf("  kubectl --kubeconfig \"$(%s kubeconfig)\"", program)
	fmt.Fprintf(&b, "%s get %s -A -w\n", kubectl, r.plurals())
	for _, a := range r.Addons {
		if a.AdminSecret != "" {
			fmt.Fprintf(&b, "%s get secret -n %s %s -o jsonpath='{.data.%s}' | base64 -d; echo  # Grafana's password of admin\n",
				kubectl, a.Namespace, a.AdminSecret, manifests.KeyAdminPassword)
		}
	}
	fmt.Fprintf(&b, "  %s status\n", program)
	_, err := w.Write(b.Bytes())
	return err
}

// plurals of the kinds that were waited for, as kubectl takes them.
func (r upReport) plurals() string {
	if len(r.Addons) > 0 {
		return "mockupstacks,observabilityaddons"
	}
	return "mockupstacks"
}

func (a addonURLs) print(w io.Writer) {
	fmt.Fprintf(w, "%s  watches %s\n", a.Namespace+"/"+a.Name, a.Stack)
	for _, p := range a.Programs {
		fmt.Fprintf(w, "  %-16s  %s\n", p.Name, p.URL)
	}
}

// programName is how the user calls this program.
func programName() string {
	name := os.Args[0]
	if filepath.Base(name) == name || filepath.IsAbs(name) {
		return name
	}
	return filepath.Clean(name)
}
