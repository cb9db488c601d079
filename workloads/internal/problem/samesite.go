package problem

import "net/http"

// SameSite refuses changes that another site makes a visitor's browser ask for:
// behind a gateway, an API shares its origin with pages. Programs that are no
// browsers are not concerned.
func SameSite(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Write(w, r, http.StatusForbidden, "A page of another site may not change anything here.")
	}))
	return guard.Handler(next)
}
