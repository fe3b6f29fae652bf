module github.com/memstreamer/memstreamer/lab

go 1.26.0

replace (
	github.com/memstreamer/memstreamer => ../
	github.com/memstreamer/memstreamer/luno => ../luno
)

require (
	github.com/luno/workflow v0.5.0
	github.com/memstreamer/memstreamer v0.1.0
	github.com/memstreamer/memstreamer/luno v0.1.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_golang v1.22.0 // indirect
	github.com/prometheus/client_model v0.6.1 // indirect
	github.com/prometheus/common v0.62.0 // indirect
	github.com/prometheus/procfs v0.15.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.30.0 // indirect
	google.golang.org/protobuf v1.36.6 // indirect
	k8s.io/utils v0.0.0-20240921022957-49e7df575cb6 // indirect
)
