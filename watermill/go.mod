module github.com/memstreamer/memstreamer/watermill

go 1.26.0

replace github.com/memstreamer/memstreamer => ../

require (
	github.com/ThreeDotsLabs/watermill v1.5.1
	github.com/memstreamer/memstreamer v0.1.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/google/uuid v1.6.0 // indirect
	github.com/lithammer/shortuuid/v3 v3.0.7 // indirect
	github.com/oklog/ulid v1.3.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
