// Package imagemap reads the file that says which image is run in place of which.
package imagemap

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Load reads the image map at path: a YAML mapping of image references to those that are really run. An empty path is an
// empty map.
func Load(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading image map: %w", err)
	}
	var images map[string]string
	if err := yaml.UnmarshalStrict(content, &images); err != nil {
		return nil, fmt.Errorf("image map %s must be a mapping of image references to image references: %w", path, err)
	}
	for from, to := range images {
		if from == "" || to == "" {
			return nil, fmt.Errorf("image map %s: %q: %q has an empty side", path, from, to)
		}
	}
	return images, nil
}
