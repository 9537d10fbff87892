package suit

import "fmt"

// maxPath bounds the path to a dependency.
const maxPath = 16

// ParseReport reads a report that is not protected. It returns ErrEncoding or
// ErrStructure.
func ParseReport(raw []byte) (*Report, error) {
	if err := check(raw); err != nil {
		return nil, err
	}
	pairs, err := item(raw).pairs()
	if err != nil {
		return nil, err
	}
	r := &Report{}
	need := map[int64]bool{reportReference: true, reportRecords: true, reportResult: true}
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return nil, err
		}
		delete(need, key)
		if err := r.add(key, p.value); err != nil {
			return nil, fmt.Errorf("report element %d: %w", key, err)
		}
	}
	if len(need) > 0 {
		return nil, fmt.Errorf("%w: report without reference, records or result", ErrStructure)
	}
	return r, nil
}

// add takes up one element.
func (r *Report) add(key int64, value item) (err error) {
	switch key {
	case reportReference:
		return r.reference(value)
	case reportNonce:
		r.Nonce, err = value.bytes()
	case reportRecords:
		members, err := value.array()
		if err != nil {
			return err
		}
		for _, m := range members {
			one, err := recordOf(m)
			if err != nil {
				return err
			}
			r.Records = append(r.Records, one)
		}
	case reportResult:
		if ok, err := value.bool(); err == nil && ok {
			return nil
		}
		r.Failure, err = failureOf(value)
	case reportCapabilities:
		r.Capabilities, err = capabilitiesOf(value)
	default:
		err = fmt.Errorf("%w: unknown", ErrStructure)
	}
	return err
}

func (r *Report) reference(i item) error {
	members, err := i.array()
	if err != nil || len(members) == 0 || len(members) > 2 {
		return fmt.Errorf("%w: reference of %d items", ErrStructure, len(members))
	}
	if len(members) == 2 {
		if r.URI, err = members[0].text(); err != nil || r.URI == "" {
			return fmt.Errorf("%w: reference URI", ErrStructure)
		}
	}
	r.Digest, err = digestOf(members[len(members)-1])
	return err
}

func failureOf(i item) (*Failure, error) {
	pairs, err := i.pairs()
	if err != nil || len(pairs) != 3 {
		return nil, fmt.Errorf("%w: result of %d elements", ErrStructure, len(pairs))
	}
	var f Failure
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return nil, err
		}
		switch key {
		case reportCode:
			f.Code, err = p.value.int()
		case reportRecord:
			f.Record, err = recordOf(p.value)
		case reportReason:
			var n uint64
			n, err = p.value.uint()
			f.Reason = ReportReason(n)
		default:
			err = fmt.Errorf("%w: unknown result element %d", ErrStructure, key)
		}
		if err != nil {
			return nil, err
		}
	}
	return &f, nil
}

// recordOf reads a record, or a map of system properties.
func recordOf(i item) (r Record, err error) {
	if i.major() == majorMap {
		return propertiesOf(i)
	}
	members, err := i.array()
	if err != nil || len(members) != 5 {
		return r, fmt.Errorf("%w: record of %d items", ErrStructure, len(members))
	}
	path, err := members[0].array()
	if err != nil || len(path) > maxPath {
		return r, fmt.Errorf("%w: path of %d items", ErrStructure, len(path))
	}
	for _, p := range path {
		n, err := numberOf(p)
		if err != nil {
			return r, err
		}
		r.Manifest = append(r.Manifest, n)
	}
	section, err := members[1].int()
	if err != nil {
		return r, err
	}
	r.Section = Element(section)
	if r.Offset, err = numberOf(members[2]); err != nil {
		return r, err
	}
	if r.Component, err = numberOf(members[3]); err != nil {
		return r, err
	}
	if pairs, err := members[4].pairs(); err != nil || len(pairs) == 0 {
		return r, err
	}
	r.Parameters, err = parametersOf(members[4])
	return r, err
}

// numberOf reads a small number.
func numberOf(i item) (int, error) {
	const limit = 1 << 31
	n, err := i.uint()
	if err != nil || n >= limit {
		return 0, fmt.Errorf("%w: number %d", ErrStructure, n)
	}
	return int(n), nil
}

// propertiesOf reads a map whose key 0 names the component.
func propertiesOf(i item) (r Record, err error) {
	pairs, err := i.pairs()
	if err != nil {
		return r, err
	}
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return r, err
		}
		if key == 0 {
			if r.System, err = componentOf(p.value); err != nil {
				return r, err
			}
			continue
		}
		parameter := Parameter{Key: Key(key), value: p.value}
		if err := parameter.checkType(); err != nil {
			return r, err
		}
		r.Parameters = append(r.Parameters, parameter)
	}
	if r.System == "" || len(r.Parameters) == 0 {
		return r, fmt.Errorf("%w: properties of no component, or none", ErrStructure)
	}
	return r, nil
}

func capabilitiesOf(i item) (*Capabilities, error) {
	pairs, err := i.pairs()
	if err != nil || len(pairs) != 4 {
		return nil, fmt.Errorf("%w: %d capabilities", ErrStructure, len(pairs))
	}
	var c Capabilities
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return nil, err
		}
		switch key {
		case capabilityComponents:
			c.Components, err = componentsOf(p.value)
		case capabilityCommands:
			c.Commands, err = intsOf[Code](p.value)
		case capabilityParameters:
			c.Parameters, err = intsOf[Key](p.value)
		case capabilityAlgorithms:
			c.Algorithms, err = intsOf[int64](p.value)
		default:
			err = fmt.Errorf("%w: unknown capability %d", ErrStructure, key)
		}
		if err != nil {
			return nil, err
		}
	}
	return &c, nil
}

func intsOf[T ~int64](i item) ([]T, error) {
	members, err := i.array()
	if err != nil || len(members) == 0 {
		return nil, fmt.Errorf("%w: list of %d numbers", ErrStructure, len(members))
	}
	list := make([]T, 0, len(members))
	for _, m := range members {
		n, err := m.int()
		if err != nil {
			return nil, err
		}
		list = append(list, T(n))
	}
	return list, nil
}
