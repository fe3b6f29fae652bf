package memstreamer

import "encoding/binary"

// knownHeaders are the names that an engine sets on each event, by the byte that
// stands for each in a payload. Zero stands for a name that is spelled out.
var knownHeaders = [...]string{
	1: string(HeaderWorkflowName),
	2: string(HeaderForeignID),
	3: string(HeaderTopic),
	4: string(HeaderRunID),
	5: string(HeaderRunState),
	6: string(HeaderRecordVersion),
	7: string(HeaderConnectorData),
}

func knownHeader(name string) byte {
	switch Header(name) {
	case HeaderWorkflowName:
		return 1
	case HeaderForeignID:
		return 2
	case HeaderTopic:
		return 3
	case HeaderRunID:
		return 4
	case HeaderRunState:
		return 5
	case HeaderRecordVersion:
		return 6
	case HeaderConnectorData:
		return 7
	}
	return 0
}

// packEvent appends the payload of an event to b: its strings, each behind its
// length, and its type between them.
func packEvent[H ~string](b []byte, foreignID string, statusType int, headers map[H]string) []byte {
	return appendHeaders(appendPrefix(b, foreignID, statusType), headers)
}

func appendPrefix(b []byte, foreignID string, statusType int) []byte {
	return binary.AppendVarint(appendString(b, foreignID), int64(statusType))
}

func unpackEvent[H ~string](payload string) (foreignID string, statusType int, headers map[H]string) {
	foreignID, payload = cutString(payload)
	statusType, payload = cutInt(payload)
	return foreignID, statusType, unpackHeaders[H](payload)
}

func packConnectorEvent(event ConnectorEvent) []byte {
	b := appendString(nil, event.ID)
	b = appendString(b, event.ForeignID)
	b = appendString(b, event.Type)
	return appendHeaders(b, event.Headers)
}

// unpackConnectorEvent returns an event without its CreatedAt.
func unpackConnectorEvent(payload string) (event ConnectorEvent) {
	event.ID, payload = cutString(payload)
	event.ForeignID, payload = cutString(payload)
	event.Type, payload = cutString(payload)
	event.Headers = unpackHeaders[string](payload)
	return event
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendHeaders[H ~string](b []byte, headers map[H]string) []byte {
	b = appendHeaderCount(b, len(headers), headers == nil)
	for name, value := range headers {
		b = appendHeader(b, string(name), value)
	}
	return b
}

// appendHeaderCount writes the number of headers plus one, and zero for nil, so that
// nil and empty differ.
func appendHeaderCount(b []byte, n int, isNil bool) []byte {
	if isNil {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(n)+1)
}

func appendHeader(b []byte, name, value string) []byte {
	known := knownHeader(name)
	b = append(b, known)
	if known == 0 {
		b = appendString(b, name)
	}
	return appendString(b, value)
}

func unpackHeaders[H ~string](payload string) map[H]string {
	n, payload := cutUint(payload)
	if n == 0 {
		return nil
	}
	headers := make(map[H]string, n-1)
	for range n - 1 {
		var name, value string
		known := payload[0]
		payload = payload[1:]
		if known > 0 {
			name = knownHeaders[known]
		} else {
			name, payload = cutString(payload)
		}
		value, payload = cutString(payload)
		headers[H(name)] = value
	}
	return headers
}

// The functions below cut one value off the front of a payload and return it with
// the rest. A string is a part of the payload, not a copy.

func cutString(payload string) (s, rest string) {
	n, rest := cutUint(payload)
	return rest[:n], rest[n:]
}

func cutUint(payload string) (n uint64, rest string) {
	if b := payload[0]; b < 0x80 {
		return uint64(b), payload[1:]
	}
	return cutLongUint(payload)
}

func cutLongUint(payload string) (n uint64, rest string) {
	for i := 0; ; i++ {
		b := payload[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n, payload[i+1:]
		}
	}
}

// cutInt reverses binary.AppendVarint, which keeps the sign in the lowest bit.
func cutInt(payload string) (n int, rest string) {
	u, rest := cutUint(payload)
	return int(int64(u>>1) ^ -int64(u&1)), rest
}
