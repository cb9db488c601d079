package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

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

// writeCA leaves the authorities of the stacks in one file for curl.
func (u *up) writeCA(ctx context.Context) error {
	var all bytes.Buffer
	for i := range u.ready {
		ca, err := authority(ctx, u.api, &u.ready[i])
		if err != nil {
			return err
		}
		all.Write(ca)
	}
	if all.Len() == 0 {
		return nil
	}
	u.ca = true
	if err := os.WriteFile(u.state.CA(), all.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the certificate authority: %w", err)
	}
	return nil
}

// upReport is what up prints with -o json.
type upReport struct {
	Kubeconfig string          `json:"kubeconfig"`
	CA         string          `json:"ca,omitempty"`
	Stacks     []stackURL      `json:"stacks"`
	Steps      []progress.Done `json:"steps"`
}

type stackURL struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	URL       string `json:"url,omitempty"`
}

func (u *up) report(w io.Writer, form string) error {
	r := upReport{Kubeconfig: u.kubeconfig(), Stacks: []stackURL{}, Steps: u.list.Done()}
	if u.ca {
		r.CA = u.state.CA()
	}
	for _, s := range u.ready {
		r.Stacks = append(r.Stacks, stackURL{s.Namespace, s.Name, s.Status.URL})
	}
	if form == formJSON {
		return printJSON(w, r)
	}
	return r.print(w, programName())
}

// print says where the stacks are and what to try next.
func (r upReport) print(w io.Writer, program string) error {
	var b bytes.Buffer
	b.WriteString("\n")
	for _, s := range r.Stacks {
		fmt.Fprintf(&b, "%s  %s\n", s.Namespace+"/"+s.Name, s.URL)
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
	fmt.Fprintf(&b, "  kubectl --kubeconfig \"$(%s kubeconfig)\" get mockupstacks -A -w\n", program)
	fmt.Fprintf(&b, "  %s status\n", program)
	_, err := w.Write(b.Bytes())
	return err
}

// programName is how the user calls this program.
func programName() string {
	name := os.Args[0]
	if filepath.Base(name) == name || filepath.IsAbs(name) {
		return name
	}
	return filepath.Clean(name)
}
