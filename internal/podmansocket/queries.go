package podmansocket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Info is what Podman says of itself and its host.
type Info struct {
	Host struct {
		CgroupManager     string   `json:"cgroupManager"`
		CgroupVersion     string   `json:"cgroupVersion"`
		CgroupControllers []string `json:"cgroupControllers"`
		NetworkBackend    string   `json:"networkBackend"`
		Kernel            string   `json:"kernel"`
		MemTotal          int64    `json:"memTotal"`
		Conmon            struct {
			Path    string `json:"path"`
			Version string `json:"version"`
		} `json:"conmon"`
		OCIRuntime struct {
			Name    string `json:"name"`
			Path    string `json:"path"`
			Version string `json:"version"`
		} `json:"ociRuntime"`
		NetworkBackendInfo struct {
			Path    string `json:"path"`
			Version string `json:"version"`
			DNS     struct {
				Path    string `json:"path"`
				Version string `json:"version"`
			} `json:"dns"`
		} `json:"networkBackendInfo"`
		Security struct {
			Rootless bool `json:"rootless"`
		} `json:"security"`
	} `json:"host"`
	Store struct {
		GraphRoot  string `json:"graphRoot"`
		VolumePath string `json:"volumePath"`
	} `json:"store"`
	Version struct {
		Version string `json:"Version"`
	} `json:"version"`
}

// Info asks Podman for it.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	if err := c.get(ctx, "/info", &info); err != nil {
		return info, fmt.Errorf("asking Podman about itself: %w", err)
	}
	return info, nil
}

// Network is a network of Podman.
type Network struct {
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels"`
	Subnets []struct {
		Subnet string `json:"subnet"`
	} `json:"subnets"`
	// Interface is the bridge on the host.
	Interface string `json:"network_interface"`
}

// Networks lists the networks that have the label, all if it is empty.
func (c *Client) Networks(ctx context.Context, label string) ([]Network, error) {
	var list []Network
	if err := c.get(ctx, "/networks/json"+byLabel(label), &list); err != nil {
		return nil, fmt.Errorf("listing Podman's networks: %w", err)
	}
	return list, nil
}

// Volume is a volume of Podman.
type Volume struct {
	Name   string            `json:"Name"`
	Labels map[string]string `json:"Labels"`
}

// Volumes lists the volumes that have the label, all if it is empty.
func (c *Client) Volumes(ctx context.Context, label string) ([]Volume, error) {
	var list []Volume
	if err := c.get(ctx, "/volumes/json"+byLabel(label), &list); err != nil {
		return nil, fmt.Errorf("listing Podman's volumes: %w", err)
	}
	return list, nil
}

// RemoveVolume removes a volume with all that is in it. It is no error if there is none of this name.
func (c *Client) RemoveVolume(ctx context.Context, name string) error {
	_, err := c.do(ctx, http.MethodDelete, "/v4.0.0/libpod/volumes/"+url.PathEscape(name), nil)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing volume %s: %w", name, err)
	}
	return nil
}

// Pod is a pod of Podman.
type Pod struct {
	ID     string            `json:"Id"`
	Name   string            `json:"Name"`
	Status string            `json:"Status"`
	Labels map[string]string `json:"Labels"`
}

// Pods lists the pods that have the label, all if it is empty.
func (c *Client) Pods(ctx context.Context, label string) ([]Pod, error) {
	var list []Pod
	if err := c.get(ctx, "/pods/json"+byLabel(label), &list); err != nil {
		return nil, fmt.Errorf("listing Podman's pods: %w", err)
	}
	return list, nil
}

// Container is a container that runs.
type Container struct {
	Names []string `json:"Names"`
	// Pod is the ID of its pod.
	Pod   string `json:"Pod"`
	Ports []struct {
		HostIP   string `json:"host_ip"`
		HostPort uint16 `json:"host_port"`
		Range    uint16 `json:"range"`
		Protocol string `json:"protocol"`
	} `json:"Ports"`
}

// Containers lists the containers that run.
func (c *Client) Containers(ctx context.Context) ([]Container, error) {
	var list []Container
	if err := c.get(ctx, "/containers/json", &list); err != nil {
		return nil, fmt.Errorf("listing Podman's containers: %w", err)
	}
	return list, nil
}

// ImageExists tells whether Podman has the image.
func (c *Client) ImageExists(ctx context.Context, reference string) (bool, error) {
	_, err := c.do(ctx, http.MethodGet, "/v4.0.0/libpod/images/"+url.PathEscape(reference)+"/exists", nil)
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for image %s: %w", reference, err)
	}
	return true, nil
}

func notFound(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusNotFound
}

func byLabel(label string) string {
	if label == "" {
		return ""
	}
	filters, err := json.Marshal(map[string][]string{"label": {label}})
	if err != nil { // a map of strings always encodes
		return ""
	}
	return "?filters=" + url.QueryEscape(string(filters))
}
