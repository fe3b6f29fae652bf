module github.com/memstreamer/memstreamer/robustness

go 1.26

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/memstreamer/memstreamer v0.1.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/memstreamer/memstreamer => ../
