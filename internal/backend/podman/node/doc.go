// Package node is what runs beside Podman on a node, as kube-proxy, CoreDNS and a network plugin do on a cluster's: a small
// process, the agent, that serves the names of Services, gives pods their fixed addresses, loads network policies into
// their namespaces, keeps the logs of containers where log agents look for them, and dials into the networks of a rootless
// Podman.
//
// The operator tells it the whole State of an owner in each pass; the answer comes when all of it is true. The agent
// outlives the operator, so that names resolve while that is away, is started by whoever needs it, and ends when nobody
// does (docs/decisions/0008-own-name-server.md, 0013-pod-logs.md).
//
//	State ─PUT─▶ policies of all pods ─▶ fixed addresses taken ─▶ fixed addresses given ─▶ names
//	             (nftables)              (netlink)                (netlink, ARP)           (one pointer is swapped)
//
//	DIR/node.sock  HTTP: PUT, GET, DELETE /owners/OWNER, GET /version, GET /watch, POST /stop, CONNECT IP:PORT
//	   ├─ lock      held by the agent that runs
//	   ├─ port-N.sock   the program that port N of the node leads to
//	   ├─ owners/   what each owner was last told, for the agent after a kill -9
//	   └─ node.log  what agents that a Client started have to say
package node
