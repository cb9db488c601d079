package controllers

import (
	"reflect"
	"testing"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// specOf a stack of one service with that image.
func specOf(image string) v1alpha1.MockupStackSpec {
	return v1alpha1.MockupStackSpec{Services: []v1alpha1.Service{{Name: "web", Image: image}}}
}

// keeping revisions with these images; an empty one is a number that is not there any more.
func keeping(from int64, images ...string) (out []manifests.Revision) {
	for i, image := range images {
		if image != "" {
			out = append(out, manifests.Revision{Number: from + int64(i), Spec: specOf(image)})
		}
	}
	return out
}

func TestPlanRevisions(t *testing.T) {
	for name, c := range map[string]struct {
		kept  []manifests.Revision
		image string
		limit int
		want  revisionPlan
	}{
		"the first":                    {nil, "a", 10, revisionPlan{number: 1, write: true}},
		"the same again":               {keeping(1, "a", "b"), "b", 10, revisionPlan{number: 2}},
		"another":                      {keeping(1, "a", "b"), "c", 10, revisionPlan{number: 3, write: true}},
		"an older one moves up":        {keeping(1, "a", "b", "c"), "a", 10, revisionPlan{number: 4, write: true, remove: []int64{1}}},
		"one from between moves up":    {keeping(4, "a", "b", "", "c"), "b", 10, revisionPlan{number: 8, write: true, remove: []int64{5}}},
		"the oldest go":                {keeping(1, "a", "b", "c"), "d", 2, revisionPlan{number: 4, write: true, remove: []int64{1}}},
		"several go":                   {keeping(1, "a", "b", "c", "d"), "e", 1, revisionPlan{number: 5, write: true, remove: []int64{1, 2, 3}}},
		"one moves and makes room":     {keeping(1, "a", "b", "c"), "b", 2, revisionPlan{number: 4, write: true, remove: []int64{2}}},
		"none but the current":         {keeping(1, "a", "b"), "c", 0, revisionPlan{number: 3, write: true, remove: []int64{1, 2}}},
		"the current stays":            {keeping(7, "a"), "a", 0, revisionPlan{number: 7}},
		"a lower limit without change": {keeping(1, "a", "b", "c"), "c", 1, revisionPlan{number: 3, remove: []int64{1}}},
		"written twice by two passes":  {keeping(1, "a", "a"), "a", 10, revisionPlan{number: 2, remove: []int64{1}}},
	} {
		spec := specOf(c.image)
		if got := planRevisions(c.kept, &spec, c.limit); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
