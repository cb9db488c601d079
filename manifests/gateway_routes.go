package manifests

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"mockup.dev/mockup/api/v1alpha1"
)

// nginxServers makes of the routes one server for each host and one, the first, for all others. Under a host, its own
// routes go before those of a pattern that it matches, and these before those without a host; among equals the longest
// path wins, which nginx sees to.
func nginxServers(routes []v1alpha1.Route, services []v1alpha1.Service) []nginxServer {
	ports := map[string]int32{}
	for _, s := range services {
		ports[s.Name] = s.Port
	}
	byHost := map[string][]v1alpha1.Route{"": nil}
	for _, route := range routes {
		byHost[route.Host] = append(byHost[route.Host], route)
	}
	var servers []nginxServer
	for _, host := range slices.Sorted(maps.Keys(byHost)) {
		taken := byHost[host]
		for _, wider := range widerHosts(host) {
			taken = append(taken, leftFor(byHost[wider], taken)...)
		}
		servers = append(servers, nginxHost(host, taken, ports))
	}
	return servers
}

// widerHosts are the patterns that every name matches which host matches, the narrowest first: for a.b.c they are
// *.b.c, *.c and the empty one.
func widerHosts(host string) []string {
	if host == "" {
		return nil
	}
	var wider []string
	name := strings.TrimPrefix(host, "*.")
	for {
		_, parent, found := strings.Cut(name, ".")
		if !found {
			return append(wider, "")
		}
		wider = append(wider, "*."+parent)
		name = parent
	}
}

// leftFor are those of common that not every request to is already taken by own.
func leftFor(common, own []v1alpha1.Route) []v1alpha1.Route {
	return slices.DeleteFunc(slices.Clone(common), func(c v1alpha1.Route) bool {
		return slices.ContainsFunc(own, func(o v1alpha1.Route) bool { return strings.HasPrefix(c.Path, o.Path) })
	})
}

func nginxHost(host string, routes []v1alpha1.Route, ports map[string]int32) nginxServer {
	server := nginxServer{Host: host, Unmatched: true}
	for _, route := range routes {
		server.Locations = append(server.Locations, nginxRoute(route, ports[route.Service]))
		server.Unmatched = server.Unmatched && route.Path != "/"
	}
	slices.SortFunc(server.Locations, func(a, b nginxLocation) int { return cmp.Compare(a.Path, b.Path) })
	return server
}

func nginxRoute(route v1alpha1.Route, port int32) nginxLocation {
	location := nginxLocation{Path: route.Path, Service: route.Service, Port: port}
	if route.MaxBodySize != nil {
		location.MaxBodySize = nginxSize(route.MaxBodySize, 0)
	}
	for _, cidr := range route.AllowFrom {
		location.AllowFrom = append(location.AllowFrom, nginxNetwork(cidr))
	}
	if prefix := strings.TrimSuffix(route.Path, "/"); route.StripPath && prefix != "" {
		location.Prefix = prefix
		// (?s) lets the rest of a path hold a line feed, which a client may have encoded.
		location.StripPattern = "(?s)^" + regexp.QuoteMeta(route.Path) + "(?<path_without_prefix>.*)$"
	}
	return location
}
