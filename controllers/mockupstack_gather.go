package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/certificates"
	"mockup.dev/mockup/manifests"
)

// gather reads what rendering the stack depends on, and makes the Secrets that are the operator's to make.
func (r *StackReconciler) gather(ctx context.Context, stack *v1alpha1.MockupStack) (manifests.StackFacts, error) {
	facts := manifests.StackFacts{Images: r.Images}
	if err := r.checkNames(ctx, stack); err != nil {
		return facts, err
	}
	if err := r.ensureCertificate(ctx, stack); err != nil {
		return facts, err
	}
	var err error
	if facts.Tracing, err = r.tracing(ctx, stack); err != nil {
		return facts, err
	}
	if facts.Restoring, err = r.restoring(ctx, stack); err != nil {
		return facts, err
	}
	facts.Secrets, facts.ConfigMaps, err = r.references.read(ctx, stack.Namespace, manifests.StackReferences(stack))
	return facts, err
}

// tracing is where the addon that watches the stack takes traces.
func (r *StackReconciler) tracing(ctx context.Context, stack *v1alpha1.MockupStack) (*manifests.Tracing, error) {
	var all v1alpha1.ObservabilityAddonList
	if err := r.client.List(ctx, &all, client.InNamespace(stack.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the addons of namespace %s: %w", stack.Namespace, err)
	}
	addons := make([]*v1alpha1.ObservabilityAddon, len(all.Items))
	for i := range all.Items {
		addons[i] = &all.Items[i]
	}
	return manifests.TracingAmong(stack, addons), nil
}

// watched maps an addon to its stack, which is told where traces go.
func watched(_ context.Context, o client.Object) []reconcile.Request {
	a, ok := o.(*v1alpha1.ObservabilityAddon)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: a.Namespace, Name: a.Spec.StackRef.Name}}}
}

// checkNames fails when an older stack of the namespace holds a Service name that this one asks for.
func (r *StackReconciler) checkNames(ctx context.Context, stack *v1alpha1.MockupStack) error {
	var others v1alpha1.MockupStackList
	if err := r.client.List(ctx, &others, client.InNamespace(stack.Namespace)); err != nil {
		return fmt.Errorf("listing the stacks of namespace %s: %w", stack.Namespace, err)
	}
	return takenName(stack, others.Items)
}

func takenName(stack *v1alpha1.MockupStack, others []v1alpha1.MockupStack) error {
	holders := map[string]string{}
	for i := range others {
		if others[i].Name == stack.Name || !older(&others[i], stack) {
			continue
		}
		for j := range others[i].Spec.Services {
			for _, name := range manifests.ServiceNames(&others[i].Spec.Services[j]) {
				holders[name] = others[i].Name
			}
		}
	}
	for i := range stack.Spec.Services {
		for _, name := range manifests.ServiceNames(&stack.Spec.Services[i]) {
			if holder := holders[name]; holder != "" {
				return &nameTakenError{fmt.Sprintf("spec.services[%d].name", i), name, holder}
			}
		}
	}
	return nil
}

// ensureCertificate makes or renews the gateway's certificate where the stack asks the operator to.
func (r *StackReconciler) ensureCertificate(ctx context.Context, stack *v1alpha1.MockupStack) error {
	if stack.Spec.Gateway == nil || stack.Spec.Gateway.TLS.SelfSigned == nil {
		return nil
	}
	authority, err := r.references.secret(ctx, stack.Namespace, manifests.GatewayCAName(stack.Name))
	if err != nil {
		return err
	}
	server, err := r.references.secret(ctx, stack.Namespace, manifests.GatewayTLSName(stack.Name))
	if err != nil {
		return err
	}
	for _, s := range []*corev1.Secret{authority, server} {
		if s != nil && !metav1.IsControlledBy(s, stack) {
			return &nameTakenError{"spec.gateway.tls.selfSigned", s.Name, "Secret/" + s.Name + " which is not this stack's"}
		}
	}
	ca, tls, changed, err := certificates.GatewaySecrets(stack, authority, server, r.Clock())
	if err != nil || !changed {
		return err
	}
	for _, want := range []*corev1.Secret{ca, tls} {
		if err := r.references.keep(ctx, stack, want); err != nil {
			return err
		}
	}
	return nil
}

// untilRenewal is the time until the gateway's certificate is to be renewed; zero when there is nothing to renew.
func (r *StackReconciler) untilRenewal(ctx context.Context, stack *v1alpha1.MockupStack) time.Duration {
	if stack.Spec.Gateway == nil || stack.Spec.Gateway.TLS.SelfSigned == nil {
		return 0
	}
	s, err := r.references.secret(ctx, stack.Namespace, manifests.GatewayTLSName(stack.Name))
	if err != nil || s == nil {
		return time.Minute
	}
	at, err := certificates.RenewAt(certificates.Pair{Certificate: s.Data[manifests.KeyCertificate], Key: s.Data[manifests.KeyPrivateKey]})
	if err != nil {
		return time.Minute
	}
	return max(at.Sub(r.Clock()), time.Second)
}

// referring maps a Secret or ConfigMap to the stacks of its namespace that refer to it.
func (r *StackReconciler) referring(kind string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		var stacks v1alpha1.MockupStackList
		if err := r.client.List(ctx, &stacks, client.InNamespace(o.GetNamespace())); err != nil {
			return nil
		}
		var out []reconcile.Request
		for i := range stacks.Items {
			refers := func(ref manifests.Reference) bool { return ref.Kind == kind && ref.Name == o.GetName() }
			if slices.ContainsFunc(manifests.StackReferences(&stacks.Items[i]), refers) {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&stacks.Items[i])})
			}
		}
		return out
	})
}

// siblings maps a stack to those of its namespace that wait for a Service name, which it may just have given up.
func (r *StackReconciler) siblings() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		var stacks v1alpha1.MockupStackList
		if err := r.client.List(ctx, &stacks, client.InNamespace(o.GetNamespace())); err != nil {
			return nil
		}
		var out []reconcile.Request
		for _, s := range stacks.Items {
			c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionStalled)
			if s.Name != o.GetName() && c != nil && c.Reason == v1alpha1.ReasonNameTaken {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&s)})
			}
		}
		return out
	})
}

// forChangedSpec lets a stack's own status writes pass unheeded: what counts are its specification and the restarts that
// its annotations ask for.
func forChangedSpec() builder.ForOption {
	restarted := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !maps.Equal(restarts(e.ObjectOld), restarts(e.ObjectNew))
	}}
	return builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, restarted))
}

// restarts that the annotations of a stack ask for.
func restarts(o client.Object) map[string]string {
	out := map[string]string{}
	for key, at := range o.GetAnnotations() {
		if strings.HasPrefix(key, manifests.AnnotationRestartPrefix) {
			out[key] = at
		}
	}
	return out
}
