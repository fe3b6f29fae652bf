// Package tests runs the tests of the Watermill Pub/Sub that need a database or
// a NATS server. They are a module of their own so that the Pub/Sub's has
// neither.
//
// They run Watermill's universal suite on sqlite and on an embedded JetStream,
// with a hundred messages where it would send thousands; -full sends them all.
package tests
