package suit

import (
	"fmt"
	"strconv"
)

// A Key is the number of a parameter (§12.3).
type Key int64

// The parameters of the manifest and its extensions. Package process says which
// it understands.
const (
	ParameterVendor           Key = 1
	ParameterClass            Key = 2
	ParameterImageDigest      Key = 3
	ParameterUseBefore        Key = 4
	ParameterComponentSlot    Key = 5
	ParameterStrictOrder      Key = 12
	ParameterSoftFailure      Key = 13
	ParameterImageSize        Key = 14
	ParameterContent          Key = 18
	ParameterEncryptionInfo   Key = 19
	ParameterURI              Key = 21
	ParameterSourceComponent  Key = 22
	ParameterInvokeArgs       Key = 23
	ParameterDevice           Key = 24
	ParameterFetchArguments   Key = 25
	ParameterMinimumBattery   Key = 26
	ParameterUpdatePriority   Key = 27
	ParameterVersion          Key = 28
	ParameterWaitInfo         Key = 29
	ParameterComponentDetails Key = 30
)

// tagPEN marks a vendor identifier made of a private enterprise number.
const tagPEN = 112

const uuidSize = 16

// keys names the parameters and checks the type of those whose type is known.
var keys = map[Key]struct {
	name  string
	check func(item) error // nil: not looked into
}{
	ParameterVendor:           {"vendor-identifier", checkVendor},
	ParameterClass:            {"class-identifier", checkUUID},
	ParameterImageDigest:      {"image-digest", checkDigest},
	ParameterUseBefore:        {"use-before", checkUint},
	ParameterComponentSlot:    {"component-slot", checkUint},
	ParameterStrictOrder:      {"strict-order", checkBool},
	ParameterSoftFailure:      {"soft-failure", checkBool},
	ParameterImageSize:        {"image-size", checkUint},
	ParameterContent:          {"content", checkBytes},
	ParameterEncryptionInfo:   {"encryption-info", checkBytes},
	ParameterURI:              {"uri", checkText},
	ParameterSourceComponent:  {"source-component", checkUint},
	ParameterInvokeArgs:       {"invoke-args", checkBytes},
	ParameterDevice:           {"device-identifier", checkUUID},
	ParameterFetchArguments:   {"fetch-arguments", checkBytes},
	ParameterMinimumBattery:   {"minimum-battery", checkUint},
	ParameterUpdatePriority:   {"update-priority", checkInt},
	ParameterVersion:          {"version", opened(versionMatchOf)},
	ParameterWaitInfo:         {"wait-info", opened(waitOf)},
	ParameterComponentDetails: {"component-metadata", opened(metadataOf)},
}

// String returns the name of the parameter, or its number if it has none here.
func (k Key) String() string {
	if info, ok := keys[k]; ok {
		return info.name
	}
	return strconv.FormatInt(int64(k), 10)
}

// Known reports whether a SUIT document defines k.
func (k Key) Known() bool {
	_, ok := keys[k]
	return ok
}

// A Parameter is a value that a command sets. Its type has been checked if its
// key is known, so each accessor has one key or two that it suits; for others
// it returns the zero value.
type Parameter struct {
	Key   Key
	value item
}

// NewParameter returns a parameter. value is a []byte, string, uint64, int64,
// bool, Digest, VersionMatch or Wait; it returns ErrOptions if that is not the type of the key.
func NewParameter(key Key, value any) (Parameter, error) {
	var raw item
	switch v := value.(type) {
	case []byte:
		raw = appendBytes(nil, v)
	case string:
		raw = encodeText(v)
	case uint64:
		raw = appendHead(nil, majorUint, v)
	case int64:
		raw = intKey(v)
	case VersionMatch:
		raw = wrap(v.Encode())
	case Wait:
		raw = wrap(v.Encode())
	case bool:
		raw = item{cborFalse}
		if v {
			raw = item{cborTrue}
		}
	case Digest:
		raw = wrap(v.Encode())
	default:
		return Parameter{}, fmt.Errorf("%w: parameter of type %T", ErrOptions, value)
	}
	p := Parameter{Key: key, value: raw}
	if err := p.check(); err != nil {
		return Parameter{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return p, nil
}

// check applies the type of the key.
func (p Parameter) check() error {
	if err := check(p.value); err != nil {
		return err
	}
	return p.checkType()
}

// checkType is check for values whose encoding has been checked.
func (p Parameter) checkType() error {
	if c := keys[p.Key].check; c != nil {
		if err := c(p.value); err != nil {
			return fmt.Errorf("parameter %v: %w", p.Key, err)
		}
	}
	return nil
}

// Encoded returns the encoded value.
func (p Parameter) Encoded() []byte { return p.value }

// Bytes returns the content of a byte string. A vendor identifier in its tagged
// form is returned encoded, tag included.
func (p Parameter) Bytes() []byte {
	if len(p.value) > 0 && p.value.major() == majorTag {
		return p.value
	}
	b, err := p.value.bytes()
	if err != nil {
		return nil
	}
	return b
}

// Text returns a text string.
func (p Parameter) Text() string {
	t, err := p.value.text()
	if err != nil {
		return ""
	}
	return t
}

// Uint returns an unsigned integer.
func (p Parameter) Uint() uint64 {
	n, err := p.value.uint()
	if err != nil {
		return 0
	}
	return n
}

// Int returns an integer, which may be negative.
func (p Parameter) Int() int64 {
	n, err := p.value.int()
	if err != nil {
		return 0
	}
	return n
}

// Version returns the value of ParameterVersion.
func (p Parameter) Version() VersionMatch { return inside(p, versionMatchOf) }

// Wait returns the value of ParameterWaitInfo.
func (p Parameter) Wait() Wait { return inside(p, waitOf) }

// Metadata returns the value of ParameterComponentDetails.
func (p Parameter) Metadata() Metadata { return inside(p, metadataOf) }

// inside reads what the byte string of a parameter wraps.
func inside[T any](p Parameter, read func(item) (T, error)) (zero T) {
	content, err := p.value.open()
	if err != nil {
		return zero
	}
	value, err := read(content)
	if err != nil {
		return zero
	}
	return value
}

// Bool returns a boolean.
func (p Parameter) Bool() bool {
	b, err := p.value.bool()
	return err == nil && b
}

// Digest returns the digest of ParameterImageDigest.
func (p Parameter) Digest() Digest {
	d, err := ParseDigest(p.Bytes())
	if err != nil {
		return Digest{}
	}
	return d
}

func checkUint(i item) error  { return second(i.uint()) }
func checkInt(i item) error   { return second(i.int()) }
func checkBool(i item) error  { return second(i.bool()) }
func checkText(i item) error  { return second(i.text()) }
func checkBytes(i item) error { return second(i.bytes()) }

// second drops the value that only had to be readable.
func second[T any](_ T, err error) error { return err }

// opened checks what a byte string wraps.
func opened[T any](read func(item) (T, error)) func(item) error {
	return func(i item) error {
		content, err := i.open()
		if err != nil {
			return err
		}
		return second(read(content))
	}
}

func checkUUID(i item) error {
	b, err := i.bytes()
	if err == nil && len(b) != uuidSize {
		err = fmt.Errorf("%w: identifier of %d bytes", ErrStructure, len(b))
	}
	return err
}

// checkVendor accepts a UUID or a tagged relative OID (RFC 9090).
func checkVendor(i item) error {
	if i.major() != majorTag {
		return checkUUID(i)
	}
	r := &reader{b: i}
	_, tag, err := r.head()
	if err != nil || tag != tagPEN {
		return fmt.Errorf("%w: tag %d", ErrStructure, tag)
	}
	return checkBytes(i[r.off:])
}

func checkDigest(i item) error {
	content, err := i.open()
	if err != nil {
		return err
	}
	return second(digestOf(content))
}

// parametersOf reads the argument of override-parameters, which has at least
// one entry.
func parametersOf(i item) ([]Parameter, error) {
	pairs, err := i.pairs()
	if err != nil || len(pairs) == 0 {
		return nil, fmt.Errorf("%w: parameters are not a map with entries", ErrStructure)
	}
	list := make([]Parameter, 0, len(pairs))
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return nil, fmt.Errorf("parameter key: %w", err)
		}
		parameter := Parameter{Key: Key(key), value: p.value}
		if err := parameter.checkType(); err != nil {
			return nil, err
		}
		list = append(list, parameter)
	}
	return list, nil
}
