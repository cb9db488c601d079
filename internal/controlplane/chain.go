package controlplane

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericfilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/util/notfoundhandler"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/kubernetes"
	aggregatorserver "k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	apiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	"k8s.io/kubernetes/pkg/controlplane/apiserver/options"
	"k8s.io/kubernetes/pkg/generated/openapi"
	admissionregistrationrest "k8s.io/kubernetes/pkg/registry/admissionregistration/rest"
	authenticationrest "k8s.io/kubernetes/pkg/registry/authentication/rest"
	authorizationrest "k8s.io/kubernetes/pkg/registry/authorization/rest"
	coordinationrest "k8s.io/kubernetes/pkg/registry/coordination/rest"
	eventsrest "k8s.io/kubernetes/pkg/registry/events/rest"
	rbacrest "k8s.io/kubernetes/pkg/registry/rbac/rest"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	// Each makes the types of one served group known to the server's scheme.
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	_ "k8s.io/kubernetes/pkg/apis/authentication/install"
	_ "k8s.io/kubernetes/pkg/apis/authorization/install"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/events/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
)

// servedVersions are the native APIs. Groups about containers, nodes and storage are absent on purpose: a Deployment is
// refused at once instead of accepted and run by nobody.
var servedVersions = []schema.GroupVersion{
	admissionregistrationv1.SchemeGroupVersion,
	authenticationv1.SchemeGroupVersion,
	authorizationv1.SchemeGroupVersion,
	coordinationv1.SchemeGroupVersion,
	corev1.SchemeGroupVersion,
	eventsv1.SchemeGroupVersion,
	rbacv1.SchemeGroupVersion,
}

// unservedResources would be accepted, but nothing here acts on them.
var unservedResources = []schema.GroupVersionResource{
	corev1.SchemeGroupVersion.WithResource("resourcequotas"),
	admissionregistrationv1.SchemeGroupVersion.WithResource("mutatingadmissionpolicies"),
	admissionregistrationv1.SchemeGroupVersion.WithResource("mutatingadmissionpolicybindings"),
}

// disabledHooks are background jobs of kube-apiserver that serve other components than those that are here.
var disabledHooks = []string{
	"start-cluster-authentication-info-controller", // tells extension servers whom to trust
	"start-legacy-token-tracking-controller",
	"storage-object-count-tracker-hook", // feeds priority and fairness
}

// newChain links the three API servers: custom resources, native APIs, and in front the aggregator, which owns discovery
// and OpenAPI.
func newChain(o options.CompletedOptions) (*aggregatorserver.APIAggregator, error) {
	resources := serverstorage.NewResourceConfig()
	resources.EnableVersions(servedVersions...)
	resources.DisableResources(unservedResources...)
	schemes := []*runtime.Scheme{legacyscheme.Scheme, apiextensionsserver.Scheme, aggregatorscheme.Scheme}
	generic, sharedInformers, storage, err := apiserver.BuildGenericConfig(o, schemes, resources, servedDefinitions, nil)
	if err != nil {
		return nil, fmt.Errorf("configuring the API server: %w", err)
	}
	generic.DisabledPostStartHooks.Insert(disabledHooks...)

	resolver := webhook.NewDefaultServiceResolver()
	native, initializers, err := apiserver.CreateConfig(o, generic, sharedInformers, nil, storage, resolver, nil)
	if err != nil {
		return nil, fmt.Errorf("configuring the native APIs: %w", err)
	}
	authInfo := webhook.NewDefaultAuthenticationInfoResolverWrapper(native.ProxyTransport, generic.EgressSelector, generic.LoopbackClientConfig, generic.TracerProvider)
	// One server: with more, every new CRD would wait five seconds for the others to hear of it.
	const servers = 1
	extensions, err := apiserver.CreateAPIExtensionsConfig(*generic, sharedInformers, initializers, o, servers, resolver, authInfo)
	if err != nil {
		return nil, fmt.Errorf("configuring custom resources: %w", err)
	}
	aggregator, err := apiserver.CreateAggregatorConfig(*generic, o, sharedInformers, resolver, native.ProxyTransport, nil, initializers)
	if err != nil {
		return nil, fmt.Errorf("configuring the aggregator: %w", err)
	}
	// OpenAPI v2 is only served for custom resources, whose server needs it to offer v3: kubectl has read v3 since 1.27,
	// and merging a second, larger document every second costs memory and CPU all day.
	native.Generic.OpenAPIConfig = nil
	aggregator.GenericConfig.OpenAPIConfig = nil
	aggregator.ExtraConfig.DisableRemoteAvailableConditionController = true // there are no Services to look at
	return linkChain(extensions, native, aggregator)
}

func linkChain(extensions *apiextensionsserver.Config, native *apiserver.Config, aggregator *aggregatorserver.Config) (*aggregatorserver.APIAggregator, error) {
	notFound := notfoundhandler.New(native.Generic.Serializer, genericfilters.NoMuxAndDiscoveryIncompleteKey)
	extensionsServer, err := extensions.Complete().New(genericserver.NewEmptyDelegateWithCustomHandler(notFound))
	if err != nil {
		return nil, fmt.Errorf("building the custom resource server: %w", err)
	}
	completed := native.Complete()
	nativeServer, err := completed.New("mockup-controlplane", extensionsServer.GenericAPIServer)
	if err != nil {
		return nil, fmt.Errorf("building the native API server: %w", err)
	}
	providers, err := storageProviders(completed)
	if err != nil {
		return nil, err
	}
	if err := nativeServer.InstallAPIs(providers...); err != nil {
		return nil, fmt.Errorf("installing the native APIs: %w", err)
	}
	crds := extensionsServer.Informers.Apiextensions().V1().CustomResourceDefinitions()
	front, err := apiserver.CreateAggregatorServer(aggregator.Complete(), nativeServer.GenericAPIServer, crds, true, apiserver.DefaultGenericAPIServicePriorities())
	if err != nil {
		return nil, fmt.Errorf("building the aggregator: %w", err)
	}
	return front, nil
}

// servedDefinitions are the OpenAPI definitions of what is served, a fifth of all that are compiled in: the rest would
// only fill memory.
func servedDefinitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	definitions := openapi.GetOpenAPIDefinitions(ref)
	maps.DeleteFunc(definitions, func(name string, _ common.OpenAPIDefinition) bool {
		return strings.HasPrefix(name, "io.k8s.") && !slices.ContainsFunc(servedModels, func(prefix string) bool {
			return strings.HasPrefix(name, prefix)
		})
	})
	return maps.Clone(definitions) // a map never shrinks
}

// servedModels are the prefixes of the names under which the served types stand in OpenAPI.
var servedModels = []string{
	"io.k8s.api.admissionregistration.v1.",
	"io.k8s.api.authentication.v1.",
	"io.k8s.api.authorization.v1.",
	"io.k8s.api.autoscaling.v1.", // Scale, a subresource of custom resources
	"io.k8s.api.coordination.v1.",
	"io.k8s.api.core.v1.",
	"io.k8s.api.events.v1.",
	"io.k8s.api.rbac.v1.",
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",
	"io.k8s.apimachinery.",
	"io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.",
}

// storageProviders are the implementations behind servedVersions.
func storageProviders(c apiserver.CompletedConfig) ([]apiserver.RESTStorageProvider, error) {
	client, err := kubernetes.NewForConfig(c.Generic.LoopbackClientConfig)
	if err != nil {
		return nil, fmt.Errorf("making the API server's client to itself: %w", err)
	}
	authn, authz := c.Generic.Authentication, c.Generic.Authorization.Authorizer
	return []apiserver.RESTStorageProvider{
		c.NewCoreGenericConfig(),
		authenticationrest.RESTStorageProvider{Authenticator: authn.Authenticator, APIAudiences: authn.APIAudiences},
		authorizationrest.RESTStorageProvider{Authorizer: authz, RuleResolver: c.Generic.RuleResolver},
		coordinationrest.RESTStorageProvider{},
		rbacrest.RESTStorageProvider{Authorizer: authz},
		admissionregistrationrest.RESTStorageProvider{Authorizer: authz, DiscoveryClient: client.Discovery()},
		eventsrest.RESTStorageProvider{TTL: c.EventTTL},
	}, nil
}
