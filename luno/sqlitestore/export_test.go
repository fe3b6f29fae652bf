package sqlitestore

// Staged returns of how many attempts something is staged.
func Staged(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.staged)
}
