import './publicPath';

import { AppPlugin } from '@grafana/data';

import { LazyConfig, LazyRoot } from './pages/lazy';

export const plugin = new AppPlugin().setRootPage(LazyRoot).addConfigPage({
  title: 'Configuration',
  icon: 'cog',
  id: 'configuration',
  body: LazyConfig,
});
