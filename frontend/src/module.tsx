import './publicPath';

import { AppPlugin } from '@grafana/data';

import { LazyConfig, LazyLanding } from './pages/lazy';

export const plugin = new AppPlugin().setRootPage(LazyLanding).addConfigPage({
  title: 'Configuration',
  icon: 'cog',
  id: 'configuration',
  body: LazyConfig,
});
