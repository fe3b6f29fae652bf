// Package engine tests memstreamer on github.com/luno/workflow: with the suites that
// the engine has for its adapters, and under stress. It has no code but tests.
package engine
