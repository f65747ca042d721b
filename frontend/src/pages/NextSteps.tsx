/** Where to go from here: the dashboards, Explore, and the settings while something is missing. */
import { config } from '@grafana/runtime';
import { Card, Grid, Stack, Text } from '@grafana/ui';

interface Props {
  datasourceUid: string;
  /** Address of the datasource's settings. */
  settings: string;
  /** At least one node answers. */
  connected: boolean;
  gpus: boolean;
}

interface Step {
  title: string;
  text: string;
  href: string;
}

export function steps({ datasourceUid, settings, connected, gpus }: Props): Step[] {
  const ds = `var-ds=${encodeURIComponent(datasourceUid)}`;
  const node = {
    title: 'Node dashboard',
    text: 'CPU, memory, pressure, disks and network of one node, at one-second resolution.',
    href: `/d/podscope-node?${ds}`,
  };
  const dcgm = {
    title: 'GPU dashboard',
    text: "Utilisation, memory, power, temperature and errors of every GPU, under dcgm-exporter's names.",
    href: `/d/nvidia-dcgm?${ds}`,
  };
  const explore = {
    title: 'Explore',
    text: 'Ask the whole fleet in PromQL.',
    href: `/explore?left=${encodeURIComponent(
      JSON.stringify({
        datasource: datasourceUid,
        queries: [{ refId: 'A', expr: 'up', range: true, legendFormat: '__auto' }],
        range: { from: 'now-15m', to: 'now' },
      })
    )}`,
  };
  const nodes = {
    title: connected ? 'Add nodes' : 'Check the settings',
    text: connected
      ? 'Start podscope-agent on more nodes and name them in the data source.'
      : 'URLs, token and TLS of the nodes; Save & test there says what each of them answers.',
    href: settings,
  };
  const dashboards = {
    title: 'Import dashboards',
    text: 'Dashboards made for Prometheus and dcgm-exporter: convert them with podscope dashboards convert, then import.',
    href: '/dashboard/import',
  };
  const shown = gpus ? [dcgm, node] : [node, dcgm];
  return connected ? [...shown, explore, nodes, dashboards] : [nodes];
}

export function NextSteps(props: Props) {
  return (
    <section aria-label="What to do next">
      <Stack direction="column" gap={1}>
        <Text element="h2" variant="h4">
          What to do next
        </Text>
        <Grid minColumnWidth={34} gap={1}>
          {steps(props).map(({ title, text, href }) => (
            <Card noMargin key={title} href={href.startsWith(config.appSubUrl) ? href : `${config.appSubUrl}${href}`}>
              <Card.Heading>{title}</Card.Heading>
              <Card.Description>{text}</Card.Description>
            </Card>
          ))}
        </Grid>
      </Stack>
    </section>
  );
}
