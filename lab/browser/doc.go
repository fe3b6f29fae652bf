// Package browser tests what a person sees of package metrics, in a headless
// Chromium. It has no code but tests.
package browser
