package podman

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// podVolumes gives every volume of a pod a name of its own. kube play names the Podman volume of an emptyDir after the
// volume and that of a ConfigMap or Secret after the object, so that pods would share them (volume.go:265, play.go:789).
//
// Secrets travel as ConfigMaps of the call: their files are the same, and nothing stays in Podman's secret store.
type podVolumes struct {
	*translator
	pod        *wantedPod
	security   *corev1.PodSecurityContext
	renamed    map[string]string
	configMaps []*corev1.ConfigMap
	// versions stand for the content of what the pod mounts or takes its environment from.
	versions map[string]string
	config   map[string]bool
	// claimed has the Podman volume of each volume that is a claim.
	claimed map[string]string
	// reloaded are the volumes whose content a running program takes up, keys their files, and loaded stands for that
	// content.
	reloaded []configVolume
	keys     []string
	loaded   map[string]string
}

// configVolume is a volume with the files of a ConfigMap or Secret.
type configVolume struct {
	name  string
	files map[string][]byte
	mode  int32
}

func (v *podVolumes) readOnly(volume string) bool { return v.config[volume] }

func (v *podVolumes) translate(spec *corev1.PodSpec, reloadable func(name string) bool) error {
	v.versions, v.config, v.loaded = map[string]string{}, map[string]bool{}, map[string]string{}
	v.claimed = map[string]string{}
	for i := range spec.Volumes {
		vol := &spec.Volumes[i]
		name := podVolumeName(v.pod.name, vol.Name)
		switch {
		case vol.EmptyDir != nil:
			v.renamed[vol.Name] = name
			if vol.EmptyDir.Medium == corev1.StorageMediumDefault {
				v.pod.volumes = append(v.pod.volumes, volumeInfo{name: name, labels: with(ownerLabels(v.set.Owner), labelPod, v.pod.name)})
			}
		case vol.PersistentVolumeClaim != nil:
			claim := vol.PersistentVolumeClaim.ClaimName
			volume, ok := v.claims[claim]
			if !ok {
				return fmt.Errorf("volume %s: claim %q is not in the set", vol.Name, claim)
			}
			vol.PersistentVolumeClaim.ClaimName = volume
			v.claimed[vol.Name] = volume
			v.pod.claims = append(v.pod.claims, volume)
			continue
		case vol.ConfigMap != nil:
			live := reloadable(vol.ConfigMap.Name)
			files, err := v.into(live).configMapFiles(vol.ConfigMap.Name, vol.ConfigMap.Items)
			if err != nil {
				return fmt.Errorf("volume %s: %w", vol.Name, err)
			}
			v.addConfig(vol, name, files, vol.ConfigMap.DefaultMode, live)
		case vol.Secret != nil:
			live := reloadable(vol.Secret.SecretName)
			files, err := v.into(live).secretFiles(vol.Secret.SecretName, vol.Secret.Items)
			if err != nil {
				return fmt.Errorf("volume %s: %w", vol.Name, err)
			}
			v.addConfig(vol, name, files, vol.Secret.DefaultMode, live)
		case vol.HostPath != nil:
			vol.HostPath.Path = v.hostPath(vol.HostPath.Path)
			continue
		default:
			continue
		}
		vol.Name = name
	}
	return nil
}

// defaultFileMode of files of ConfigMaps and Secrets (pkg/apis/core/v1/defaults.go).
const defaultFileMode int32 = 0o644

// into has the versions of what is looked up counted among those that a running program takes up, if live.
func (v *podVolumes) into(live bool) *podVolumes {
	if !live {
		return v
	}
	return &podVolumes{translator: v.translator, versions: v.loaded}
}

// addConfig makes the pod's own copy of what is mounted.
func (v *podVolumes) addConfig(vol *corev1.Volume, name string, files map[string][]byte, mode *int32, live bool) {
	v.renamed[vol.Name], v.config[vol.Name] = name, true
	if live {
		v.reloaded = append(v.reloaded, configVolume{name: name, files: files, mode: *orElse(mode, ptr(defaultFileMode))})
		for _, key := range slices.Sorted(maps.Keys(files)) {
			v.keys = append(v.keys, vol.Name+"/"+key)
		}
	}
	v.configMaps = append(v.configMaps, &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: name}, BinaryData: files,
	})
	vol.VolumeSource = corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, DefaultMode: mode}}
	v.pod.volumes = append(v.pod.volumes, volumeInfo{name: name, labels: with(ownerLabels(v.set.Owner), labelPod, v.pod.name)})
}

func (v *podVolumes) configMapFiles(name string, items []corev1.KeyToPath) (map[string][]byte, error) {
	cm, ok := v.translator.configMaps[name]
	if !ok {
		return nil, fmt.Errorf("there is no ConfigMap %q in the set", name)
	}
	v.noteConfigMap(cm)
	data := map[string][]byte{}
	for k, s := range cm.Data {
		data[k] = []byte(s)
	}
	for k, b := range cm.BinaryData {
		data[k] = b
	}
	return selectItems("ConfigMap "+name, data, items)
}

func (v *podVolumes) secretFiles(name string, items []corev1.KeyToPath) (map[string][]byte, error) {
	s, ok := v.secrets[name]
	if !ok {
		return nil, fmt.Errorf("there is no Secret %q in the set", name)
	}
	v.noteSecret(s)
	return selectItems("Secret "+name, secretData(s), items)
}

func (v *podVolumes) noteConfigMap(cm *corev1.ConfigMap) {
	b, _ := json.Marshal([]any{cm.Data, cm.BinaryData}) // maps of strings and bytes always encode
	sum := sha256.Sum256(b)
	v.versions["ConfigMap/"+cm.Name] = hex.EncodeToString(sum[:])
}

func (v *podVolumes) noteSecret(s *corev1.Secret) {
	v.versions["Secret/"+s.Name] = string(s.UID) + "/" + s.ResourceVersion
}

func secretData(s *corev1.Secret) map[string][]byte {
	data := map[string][]byte{}
	for k, b := range s.Data {
		data[k] = b
	}
	for k, text := range s.StringData {
		data[k] = []byte(text)
	}
	return data
}

// selectItems keeps the wanted keys under the wanted file names; no items means all keys under their own.
func selectItems(what string, data map[string][]byte, items []corev1.KeyToPath) (map[string][]byte, error) {
	if len(items) == 0 {
		return data, nil
	}
	files := map[string][]byte{}
	for _, item := range items {
		b, ok := data[item.Key]
		if !ok {
			return nil, fmt.Errorf("%s has no key %q", what, item.Key)
		}
		if strings.Contains(item.Path, "/") {
			return nil, fmt.Errorf("%s: path %q of key %q: Podman takes no folders here", what, item.Path, item.Key)
		}
		files[item.Path] = b
	}
	return files, nil
}
