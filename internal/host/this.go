package host

import (
	"os"
	"os/user"
)

// This is the machine on which we run, for the user who runs us.
func This() Host {
	who := Who{UID: os.Geteuid()}
	if u, err := user.Current(); err == nil {
		who.Name = u.Username
	}
	return Detect(os.DirFS("/"), who)
}
