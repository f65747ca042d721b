import { PluginPage } from '@grafana/runtime';

export default function Landing() {
  return <PluginPage>Podscope</PluginPage>;
}
