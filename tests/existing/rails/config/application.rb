require "rails"
require "active_record/railtie"

module Shop
  class Application < Rails::Application
    config.load_defaults 6.1
    config.logger = Logger.new($stderr)
    config.log_level = :warn
    config.eager_load = !Rails.env.development?
    config.cache_classes = !Rails.env.development?
    config.secret_key_base = "only for tests"
  end
end
