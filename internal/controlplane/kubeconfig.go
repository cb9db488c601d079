package controlplane

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// contextName names cluster, user and context in the kubeconfig.
const contextName = "mockup"

// writeKubeconfig writes the administrator's kubeconfig, mode 0600, with everything inline so that it can be copied.
// An unchanged file is left alone: tools that watch it see no change.
func writeKubeconfig(f folder, port int, ids *identities) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{
		Server:                   "https://" + net.JoinHostPort(bindAddress, strconv.Itoa(port)),
		CertificateAuthorityData: ids.ca.certPEM,
	}
	config.AuthInfos[contextName] = &clientcmdapi.AuthInfo{
		ClientCertificateData: ids.admin.certPEM,
		ClientKeyData:         ids.admin.keyPEM,
	}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName, Namespace: "default"}
	config.CurrentContext = contextName
	content, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encoding kubeconfig: %w", err)
	}
	if old, err := os.ReadFile(f.kubeconfig()); err == nil && bytes.Equal(old, content) {
		return os.Chmod(f.kubeconfig(), 0o600)
	}
	return writeFile(f.kubeconfig(), content, 0o600)
}

// restConfig reads what a client of the control plane in dir needs.
func restConfig(dir string) (*rest.Config, error) {
	path := KubeconfigPath(dir)
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", path, err)
	}
	return config, nil
}

// rememberedPort is the port the kubeconfig names, 0 if there is none or it cannot be read.
func rememberedPort(f folder) int {
	config, err := clientcmd.LoadFromFile(f.kubeconfig())
	if err != nil || config.Clusters[contextName] == nil {
		return 0
	}
	server, err := url.Parse(config.Clusters[contextName].Server)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(server.Port())
	if err != nil {
		return 0
	}
	return port
}
