// Grafana's source of June 2023, the newest that was found as a Go module, and wire, which completes it. It is built within
// its own module (hack/grafana/build); nothing here imports it, so `go mod tidy` would strike it out.
module mockup.dev/mockup/hack/grafana

go 1.26.0

tool github.com/google/wire/cmd/wire

require (
	github.com/google/wire v0.7.0
	github.com/grafana/grafana v1.9.2-0.20230609164553-81d85ce8028d
)

require (
	github.com/google/subcommands v1.2.0 // indirect
	github.com/pmezard/go-difflib v1.0.1-0.20181226105442-5d4384ee4fb2 // indirect
	golang.org/x/mod v0.20.0 // indirect
	golang.org/x/sync v0.8.0 // indirect
	golang.org/x/tools v0.24.1 // indirect
)
