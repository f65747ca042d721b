export function VariableEditor() {
  return null;
}
