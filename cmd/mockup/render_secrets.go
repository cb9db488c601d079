package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/internal/certificates"
	"mockup.dev/mockup/internal/passwords"
	"mockup.dev/mockup/manifests"
)

// makeSecrets makes the Secrets that the operator would make and that no file holds, and writes them once to path. One
// that is there is not overwritten: what runs with its keys would lose them.
func (in *renderInput) makeSecrets(path string) error {
	var made []*corev1.Secret
	for _, s := range in.stacks {
		if s.Spec.Gateway == nil || s.Spec.Gateway.TLS.SelfSigned == nil || in.secrets[s.Namespace+"/"+manifests.GatewayTLSName(s.Name)] != nil {
			continue
		}
		ca, tls, _, err := certificates.GatewaySecrets(s, nil, nil, time.Now())
		if err != nil {
			return fmt.Errorf("making the Secrets of stack %s: %w", keyOf(s), err)
		}
		made = append(made, ca, tls)
	}
	made = append(made, in.newPasswords()...)
	if len(made) == 0 {
		return nil
	}
	var content bytes.Buffer
	for _, s := range made {
		text, err := yaml.Marshal(s)
		if err != nil {
			return fmt.Errorf("printing Secret %s: %w", s.Name, err)
		}
		content.WriteString("---\n")
		content.Write(text)
		in.secrets[keyOf(s)] = s
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and is not overwritten: pass it with -f, or name another file", path)
	}
	if err != nil {
		return fmt.Errorf("writing the new Secrets: %w", err)
	}
	_, err = file.Write(content.Bytes())
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the new Secrets: %w", err)
	}
	return nil
}

// newPasswords are Secrets in the place of those that the operator would make for addons and policies and that are not known.
func (in *renderInput) newPasswords() []*corev1.Secret {
	var made []*corev1.Secret
	for _, s := range in.subjects() {
		if s.kind == stackKind {
			continue
		}
		for _, ref := range s.references() {
			if ref.Generated && in.secrets[s.GetNamespace()+"/"+ref.Name] == nil {
				made = append(made, passwords.New(s.GetNamespace(), ref.Name, ref.Keys[0]))
			}
		}
	}
	return made
}
