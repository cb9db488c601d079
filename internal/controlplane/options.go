package controlplane

import (
	"context"
	"fmt"
	"net"
	"sync"

	"k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	validatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	mutatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	validatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	"k8s.io/apiserver/pkg/features"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/informers"
	"k8s.io/kubernetes/pkg/controlplane/apiserver/options"
	kubeoptions "k8s.io/kubernetes/pkg/kubeapiserver/options"
	"k8s.io/kubernetes/pkg/serviceaccount"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
)

// tokenIssuer names this control plane in the tokens of its service accounts. Nobody looks it up.
const tokenIssuer = "https://mockup.invalid"

// serverOptions says how the API server behaves. What is left out here is kube-apiserver's default.
func serverOptions(ctx context.Context, f folder, ids *identities, l net.Listener) (options.CompletedOptions, error) {
	if err := turnOffFeatures(); err != nil {
		return options.CompletedOptions{}, fmt.Errorf("turning off features: %w", err)
	}
	o := options.NewOptions()

	o.SecureServing.Listener = l
	o.SecureServing.BindAddress = net.ParseIP(bindAddress)
	o.SecureServing.BindPort = portOf(l)
	o.SecureServing.ExternalAddress = o.SecureServing.BindAddress // else it looks for a default route, which may not be
	o.SecureServing.ServerCert.CertDirectory = f.pki()
	o.SecureServing.ServerCert.CertKey.CertFile = ids.server.certFile
	o.SecureServing.ServerCert.CertKey.KeyFile = ids.server.keyFile

	o.Etcd.StorageConfig.Transport.ServerList = []string{"unix://" + f.clientSocket()}
	// The watch caches spare etcd thousands of watchers. Here they only hold every object once more.
	o.Etcd.EnableWatchCache = false
	o.Etcd.StorageConfig.CountMetricPollPeriod = 0 // counts every object of every kind each minute, for a metric
	o.Etcd.StorageConfig.DBMetricPollInterval = 0

	o.Authentication.Anonymous.Allow = false
	o.Authentication.ClientCert.ClientCA = ids.ca.certFile
	o.Authentication.ServiceAccounts.Issuers = []string{tokenIssuer}
	o.Authentication.ServiceAccounts.KeyFiles = []string{ids.serviceAccountKey}
	o.Authentication.ServiceAccounts.OptionalTokenGetter = newTokenGetter
	o.ServiceAccountSigningKeyFile = ids.serviceAccountKey
	o.Authorization.Modes = []string{"RBAC"}

	o.Admission.GenericAdmission.DefaultOffPlugins = sets.New(kubeoptions.AllOrderedPlugins...).Difference(admissionPlugins)
	o.Features.EnablePriorityAndFairness = false // protects from many clients; its informers and objects cost more than one user asks
	o.Features.EnableProfiling = false
	o.Metrics = nil // only its warnings about a file nobody named
	// Without this a stop waits a minute for open watches, with it two seconds.
	o.GenericServerRunOptions.ShutdownSendRetryAfter = true

	completed, err := o.Complete(ctx, nil, nil)
	if err != nil {
		return completed, fmt.Errorf("completing the API server's options: %w", err)
	}
	if err := utilerrors.NewAggregate(completed.Validate()); err != nil {
		return completed, fmt.Errorf("validating the API server's options: %w", err)
	}
	return completed, nil
}

// turnOffFeatures turns off what several API servers need to know of each other: Leases renewed every ten seconds.
// Features are set for a process, not for a server, hence once.
var turnOffFeatures = sync.OnceValue(func() error {
	return utilfeature.DefaultMutableFeatureGate.SetFromMap(map[string]bool{
		string(features.APIServerIdentity):                   false,
		string(features.UnknownVersionInteroperabilityProxy): false,
	})
})

// admissionPlugins are those that make sense without containers.
var admissionPlugins = sets.New(
	lifecycle.PluginName, // nothing is created in a namespace that is being deleted
	mutatingwebhook.PluginName,
	validatingwebhook.PluginName,
	validatingpolicy.PluginName,
)

// tokenGetter checks that what a service account's token is bound to still exists. Pods, nodes and webhook
// configurations bind no tokens here.
type tokenGetter struct {
	secrets  corelisters.SecretLister
	accounts corelisters.ServiceAccountLister
}

func newTokenGetter(f informers.SharedInformerFactory) serviceaccount.ServiceAccountTokenGetter {
	return tokenGetter{secrets: f.Core().V1().Secrets().Lister(), accounts: f.Core().V1().ServiceAccounts().Lister()}
}

func (g tokenGetter) GetServiceAccount(_ context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return g.accounts.ServiceAccounts(namespace).Get(name)
}

func (g tokenGetter) GetSecret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	return g.secrets.Secrets(namespace).Get(name)
}

func (tokenGetter) GetPod(_ context.Context, _, name string) (*corev1.Pod, error) {
	return nil, errors.NewNotFound(corev1.Resource("pods"), name)
}

func (tokenGetter) GetNode(_ context.Context, name string) (*corev1.Node, error) {
	return nil, errors.NewNotFound(corev1.Resource("nodes"), name)
}

func (tokenGetter) GetValidatingWebhookConfiguration(_ context.Context, name string) (*admissionregistrationv1.ValidatingWebhookConfiguration, error) {
	return nil, errors.NewNotFound(admissionregistrationv1.Resource("validatingwebhookconfigurations"), name)
}

func (tokenGetter) GetMutatingWebhookConfiguration(_ context.Context, name string) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	return nil, errors.NewNotFound(admissionregistrationv1.Resource("mutatingwebhookconfigurations"), name)
}
