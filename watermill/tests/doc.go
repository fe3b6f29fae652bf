// Package tests runs the tests of the Watermill Pub/Sub that need a database or
// a NATS server. They are a module of their own so that the Pub/Sub's has
// neither.
package tests
