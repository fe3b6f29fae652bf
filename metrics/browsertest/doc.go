// Package browsertest tests what a person sees of package metrics, in a headless
// Chromium. It is a module of its own, so that the library does not require what
// drives a browser.
package browsertest
