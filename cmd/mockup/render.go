package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/config/crd"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/imagemap"
	"mockup.dev/mockup/internal/offline"
	"mockup.dev/mockup/manifests"
)

// renderOptions are the flags of render.
type renderOptions struct {
	files      []string
	imageMap   string
	newSecrets string
	check      bool
}

func newRender(a *app) *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render -f FILE...",
		Short: "Print the manifests of a stack",
		Long: `Prints the standard Kubernetes manifests that a stack stands for. It needs no server and no Podman, and prints the
same bytes for the same input. The head of the output says how to run it with "podman kube play".

Files may hold Secrets and ConfigMaps beside stacks. Secrets are never printed; those that the stack refers to and that
are in no file are listed on standard error. Other objects are left out.

With --check, it prints instead what Podman would not do as the manifests say, as a table or with "-o json": the object, the
path of the field, and why.

Exit codes: 0, also when Secrets are missing; 1 when a file can't be written; 2 when the call or a file is wrong, with one
line for each field; with --check, 3 when there is something that Podman would not do.`,
		Example: `  mockup render -f stack.yaml > stack-manifests.yaml
  mockup render -f stack.yaml --new-secrets secrets.yaml --image-map bin/images.yaml
  mockup render -f stack.yaml -f secrets.yaml -o json
  mockup render -f stack.yaml --check`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.files, "filename", "f", nil, "file with stacks, Secrets and ConfigMaps, - for standard input; may be repeated")
	flags.StringVar(&o.imageMap, "image-map", "", "YAML file that maps image references to those that are run in their place")
	flags.StringVar(&o.newSecrets, "new-secrets", "", "file to write the Secrets to that the operator would make; it must not exist")
	flags.BoolVar(&o.check, "check", false, "print what Podman would not do as written, instead of the manifests")
	output := outputFlag(cmd, formYAML, formJSON)
	if err := cmd.MarkFlagRequired("filename"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.render(cmd.Context(), o, *output) }
	return cmd
}

func (a *app) render(ctx context.Context, o renderOptions, form string) error {
	found, err := documents.Read(o.files, a.in)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	in, err := readInput(ctx, found)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if in.images, err = imagemap.Load(o.imageMap); err != nil {
		return &exitError{exitUsage, err}
	}
	if o.newSecrets != "" {
		if err := in.makeSecrets(o.newSecrets); err != nil {
			return err
		}
	}
	sets, missing, err := in.render()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	for _, m := range missing {
		for _, r := range m {
			fmt.Fprintln(a.err, "missing:", r)
		}
	}
	if o.check {
		return check(a.out, form, sets)
	}
	if form == formJSON {
		return printSetsJSON(a.out, sets)
	}
	for i, set := range sets {
		if i > 0 {
			fmt.Fprintln(a.out, "---")
		}
		if err := manifests.Print(a.out, set, manifests.PrintOptions{Missing: missing[i], File: fileName(o.files)}); err != nil {
			return err
		}
	}
	return nil
}

// fileName under which the output may be kept, for the command in its head.
func fileName(files []string) string {
	if len(files) == 0 || files[0] == "-" {
		return ""
	}
	base := filepath.Base(files[0])
	return base[:len(base)-len(filepath.Ext(base))] + "-manifests.yaml"
}

// renderInput is what the files hold.
type renderInput struct {
	stacks     []*v1alpha1.MockupStack
	secrets    map[string]*corev1.Secret // by namespace/name
	configMaps map[string]*corev1.ConfigMap
	images     map[string]string
}

// readInput checks and sorts the objects. Its error holds every field that is wrong.
func readInput(ctx context.Context, found []documents.Document) (*renderInput, error) {
	crds, err := crd.Objects()
	if err != nil {
		return nil, err
	}
	validator, err := offline.New(crds)
	if err != nil {
		return nil, err
	}
	in := &renderInput{secrets: map[string]*corev1.Secret{}, configMaps: map[string]*corev1.ConfigMap{}}
	var errs []error
	for _, d := range found {
		switch gvk := d.GroupVersionKind(); {
		case gvk.Group == v1alpha1.GroupVersion.Group:
			for _, e := range validator.Check(ctx, d.Unstructured) {
				errs = append(errs, fmt.Errorf("%s: %s/%s: %w", d.Source, d.GetKind(), d.GetName(), e))
			}
			stack := &v1alpha1.MockupStack{}
			if len(errs) == 0 && gvk.Kind == "MockupStack" {
				errs = append(errs, into(d, stack))
				in.stacks = append(in.stacks, stack)
			}
		case gvk.Kind == "Secret" && gvk.Group == "":
			errs = append(errs, in.addSecret(d))
		case gvk.Kind == "ConfigMap" && gvk.Group == "":
			c := &corev1.ConfigMap{}
			errs = append(errs, into(d, c))
			in.configMaps[keyOf(c)] = c
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(in.stacks) == 0 {
		return nil, errors.New("the files hold no MockupStack")
	}
	return in, nil
}

func (in *renderInput) addSecret(d documents.Document) error {
	s := &corev1.Secret{}
	if err := into(d, s); err != nil {
		return err
	}
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	in.secrets[keyOf(s)] = s
	return nil
}

// into decodes a document, in the default namespace if it names none.
func into(d documents.Document, out interface{ SetNamespace(string) }) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(d.Object, out, true); err != nil {
		return fmt.Errorf("%s: %s/%s: %w", d.Source, d.GetKind(), d.GetName(), err)
	}
	out.SetNamespace(either(d.GetNamespace(), defaultNamespace))
	return nil
}

// render renders every stack; missing are the references of each that no file satisfies.
func (in *renderInput) render() (sets []manifests.Set, missing [][]manifests.Reference, err error) {
	for _, s := range in.stacks {
		facts := manifests.StackFacts{Images: in.images, Secrets: map[string]*corev1.Secret{}, ConfigMaps: map[string]*corev1.ConfigMap{}}
		for _, ref := range manifests.StackReferences(s) {
			key := s.Namespace + "/" + ref.Name
			if found := in.secrets[key]; ref.Kind == "Secret" && found != nil {
				facts.Secrets[ref.Name] = found
			}
			if found := in.configMaps[key]; ref.Kind == "ConfigMap" && found != nil {
				facts.ConfigMaps[ref.Name] = found
			}
		}
		set, err := manifests.Stack(s, facts)
		var absent *manifests.MissingError
		if err != nil && !errors.As(err, &absent) {
			return nil, nil, fmt.Errorf("stack %s: %w", keyOf(s), err)
		}
		sets = append(sets, set)
		if absent == nil {
			missing = append(missing, nil)
		} else {
			missing = append(missing, absent.References)
		}
	}
	return sets, missing, nil
}

func printSetsJSON(w io.Writer, sets []manifests.Set) error {
	items := []any{}
	for _, set := range sets {
		for _, o := range set.Objects {
			fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
			if err != nil {
				return fmt.Errorf("printing %s: %w", manifests.RefOf(o), err)
			}
			delete(fields, "status")
			items = append(items, fields)
		}
	}
	return printJSON(w, map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}
