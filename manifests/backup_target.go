package manifests

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"mockup.dev/mockup/api/v1alpha1"
)

// BackupPlace is the same for all repositories and copies that are in the same bucket or folder, however it is written; empty
// for neither.
func BackupPlace(s *v1alpha1.S3Bucket, hostPath string) string {
	switch {
	case s != nil:
		return fmt.Sprintf("s3 %s %s %s", endpointAddress(s.Endpoint), s.Bucket, s.Prefix)
	case hostPath != "":
		return "host " + path.Clean(hostPath)
	}
	return ""
}

// endpointAddress is the host and port of an endpoint.
func endpointAddress(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return endpoint // which the program refuses
	}
	port := u.Port()
	switch {
	case port != "":
	case strings.EqualFold(u.Scheme, "http"):
		port = "80"
	default:
		port = "443"
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// ValidateRestoreTarget tells whether the new volume that q restores into is somebody's already: a stack's, which would serve it
// half restored, or the repository of a policy. oneHost says whether a name means the same volume in every namespace.
func ValidateRestoreTarget(p *v1alpha1.BackupPolicy, q *v1alpha1.BackupRequest, stacks []v1alpha1.MockupStack, policies []v1alpha1.BackupPolicy, oneHost bool) error {
	claim := BackupTargetName(p.Name, q.Into)
	id := claimID(BackupOwner(p).Namespace, claim, false, oneHost)
	refuse := func(format string, args ...any) error {
		return &InvalidError{Field: requestField + "into", Value: q.Into, Reason: "makes volume " + claim + ", which is " + fmt.Sprintf(format, args...) + "; name another one"}
	}
	for i := range stacks {
		s := &stacks[i]
		for _, v := range s.Spec.Volumes {
			if VolumeID(s, v.Name, oneHost) == id {
				return refuse("volume %s of stack %s", v.Name, s.Name)
			}
		}
	}
	for i := range policies {
		other := &policies[i]
		namespace := BackupOwner(other).Namespace
		if other.Spec.Repository.Size != nil && claimID(namespace, BackupRepositoryName(other.Name), false, oneHost) == id {
			return refuse("the repository of policy %s", other.Name)
		}
	}
	return nil
}

// requestField is the beginning of the fields of a request.
const requestField = "request."

// AboutRequest tells whether err is about what is asked for alone, and not about the policy.
func AboutRequest(err error) bool {
	var invalid *InvalidError
	return errors.As(err, &invalid) && strings.HasPrefix(invalid.Field, requestField)
}
