// Package chaos tests package jetstream on real servers: embedded, in a process each,
// and in a cluster, while connections are cut, leaders step down, and servers are
// stopped, killed and lose what they store. It contains only tests.
package chaos
