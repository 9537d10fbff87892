package suit

import "fmt"

// A FileType is what a component is in a file system.
type FileType uint64

// The file types.
const (
	FileRegular   FileType = 1
	FileDirectory FileType = 2
	FileSymlink   FileType = 3
)

// The keys of component metadata (draft-ietf-suit-update-management §4).
const (
	metaDefaultPermissions = 1
	metaRolePermissions    = 4
	metaFileType           = 5
	metaModification       = 6
	metaCreation           = 7
	metaCreator            = 8
	tagEpoch               = 1
)

// Metadata is the value of parameter component-metadata.
type Metadata struct {
	// FileType is zero if unsaid.
	FileType FileType
	// Permissions are the default permission bits; nil if unsaid.
	Permissions *uint64
	// Encoded is the whole map, with owners, times and permissions of others.
	Encoded []byte
}

func metadataOf(i item) (Metadata, error) {
	m := Metadata{Encoded: i}
	pairs, err := i.pairs()
	if err != nil {
		return m, err
	}
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return m, err
		}
		if err := m.add(key, p.value); err != nil {
			return m, fmt.Errorf("metadata %d: %w", key, err)
		}
	}
	return m, nil
}

// add takes up one member.
func (m *Metadata) add(key int64, value item) error {
	switch {
	case key == metaDefaultPermissions:
		n, err := value.uint()
		m.Permissions = &n
		return err
	case key > metaDefaultPermissions && key <= metaRolePermissions:
		return second(value.pairs())
	case key == metaFileType:
		n, err := value.uint()
		if m.FileType = FileType(n); err != nil || m.FileType < FileRegular || m.FileType > FileSymlink {
			return fmt.Errorf("%w: file type %d", ErrStructure, n)
		}
		return nil
	case key == metaModification || key == metaCreation:
		r := &reader{b: value}
		major, tag, err := r.head()
		if err != nil || major != majorTag || tag != tagEpoch {
			return fmt.Errorf("%w: not a time", ErrStructure)
		}
		return checkUint(value[r.off:])
	case key == metaCreator:
		return nil
	}
	return fmt.Errorf("%w: unknown", ErrStructure)
}
